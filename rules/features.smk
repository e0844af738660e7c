"""Store the targets that are too slow to compute while training."""


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
        code=lambda wildcards: PLAN.extract(
            wildcards.corpus, int(wildcards.sample_rate), wildcards.worker
        ).code,
        config=lambda wildcards: PLAN.extract(
            wildcards.corpus, int(wildcards.sample_rate), wildcards.worker
        ).config,
    shell:
        '{PYTHON}.extract --config {params.config:q} --code {params.code} --corpus "$(dirname {input:q})"'
        " --output {output.values:q} --threads {threads} &> {log:q}"
