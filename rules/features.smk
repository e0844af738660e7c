"""Store the targets that are too slow to compute during training."""


rule extract:
    input:
        "<results>/corpora/{corpus}/{sample_rate}/corpus.json",
    output:
        values="<results>/features/{corpus}/{sample_rate}/{worker}.npy",
        record="<results>/features/{corpus}/{sample_rate}/{worker}.json",
    log:
        "<logs>/extract/{corpus}/{sample_rate}/{worker}.log",
    threads: 8
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.extract(
                wildcards.corpus, int(wildcards.sample_rate), wildcards.worker
            )
        ),
    shell:
        '{JOB} extract --config {params.config:q} --code {params.code} --corpus "$(dirname {input:q})"'
        " --output {output.values:q} --threads {threads} &> {log:q}"
