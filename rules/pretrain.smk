"""Pre-train encoders."""


def stored_targets(run):
    """Files of the stored targets a run's workers need, by worker."""
    rate = PLAN.sample_rate(run.encoder)
    return {
        worker: f"{config['results']}/features/{run.corpus}/{rate}/{worker}.npy"
        for worker in PLAN.precomputed_workers(run)
    }


rule pretrain:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.corpus, wildcards.encoder),
        targets=lambda wildcards: list(stored_targets(run_of(wildcards)).values()),
    output:
        encoder="<results>/pretrained/<run>/encoder.safetensors",
        losses="<results>/pretrained/<run>/losses.csv",
        record="<results>/pretrained/<run>/record.json",
    log:
        "<logs>/pretrain/<run>.log",
    threads: 8
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: PLAN.pretrain(run_of(wildcards)).code,
        config=lambda wildcards: PLAN.pretrain(run_of(wildcards)).config,
        features=lambda wildcards: [
            f"--features={worker}={file}"
            for worker, file in stored_targets(run_of(wildcards)).items()
        ],
    shell:
        '{PYTHON}.pretrain --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        ' {params.features:q} --output "$(dirname {output.encoder:q})" --threads {threads} &> {log:q}'
