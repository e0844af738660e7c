"""Pre-train encoders, or import published checkpoints.

`exec` leaves no shell between Snakemake and the trainer: if a signal killed the shell, Snakemake would end and SLURM
would kill a trainer that is still saving its state.
"""


def stored_targets(run):
    """Return the files of the stored targets that a run's workers need, by worker."""
    rate = PLAN.levels.sample_rate(run)
    return {
        worker: PLAN.layout.features(run.corpus, rate, worker)
        for worker in PLAN.levels.precomputed_workers(run)
    }


def stems_of(wildcards):
    """Return the stems that a run reads to learn source separation, as a list: empty for other runs."""
    run = run_of(wildcards)
    if not PLAN.levels.separation_worker(run):
        return []
    rate = PLAN.levels.sample_rate(run)
    return [
        PLAN.layout.stem(run.corpus, rate, stem)
        for stem in PLAN.levels.stems.get(run.corpus, ())
    ]


def features_flags(wildcards):
    """Return the flags that name the stored targets."""
    return [
        f"--features={worker}={file}"
        for worker, file in stored_targets(run_of(wildcards)).items()
    ]


def weights_of(wildcards):
    """Return the file of a run's loss weights, as a list: empty if all weights are 1."""
    run = run_of(wildcards)
    return (
        collect(rules.weigh.output.weights, **vars(run))
        if PLAN.levels.weights_source(run)
        else []
    )


# Loss weights come from the first epochs of another run. Its folder is read, but is not an input: whether the other
# run is planned as well must not decide which jobs run again.
rule weigh:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.corpus, run_of(wildcards)),
        stems=stems_of,
        targets=lambda wildcards: list(stored_targets(run_of(wildcards)).values()),
    output:
        weights="<results>/pretrained/<run>/weights.json",
        record="<results>/pretrained/<run>/weigh.json",
    log:
        "<logs>/weigh/<run>.log",
    priority: 1  # before the other run, which resumes from these epochs
    threads: 8
    resources:
        gpu=GPU,
    params:
        **job_params(lambda wildcards: PLAN.jobs.weigh(run_of(wildcards))),
        features=features_flags,
        source=lambda wildcards: PLAN.layout.run_folder(
            PLAN.levels.weights_source(run_of(wildcards))
        ),
    shell:
        'exec {JOB} weigh --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        " {params.features:q} --source {params.source:q} --output {output.weights:q} --threads {threads} &> {log:q}"


rule pretrain:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.corpus, run_of(wildcards)),
        stems=stems_of,
        targets=lambda wildcards: list(stored_targets(run_of(wildcards)).values()),
        weights=weights_of,
    output:
        encoder="<results>/pretrained/<run_trained_here>/encoder.safetensors",
        losses="<results>/pretrained/<run_trained_here>/losses.csv",
        record="<results>/pretrained/<run_trained_here>/record.json",
    log:
        "<logs>/pretrain/<run_trained_here>.log",
    threads: 8
    resources:
        gpu=GPU,
    params:
        **job_params(lambda wildcards: PLAN.jobs.pretrain(run_of(wildcards))),
        features=features_flags,
        weights=lambda wildcards, input: [f"--weights={file}" for file in input.weights],
    shell:
        'exec {JOB} pretrain --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        ' {params.features:q} {params.weights:q} --output "$(dirname {output.encoder:q})" --threads {threads} &> {log:q}'


# A target of its own, so that `--prioritize pretrain_all` starts the longest chains of jobs first.
rule pretrain_all:
    input:
        [PLAN.layout.encoder(run) for run in PLAN.pretrained_runs],
    localrule: True


rule evaluate_separation:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.corpus, run_of(wildcards)),
        stems=stems_of,
        encoder_file=rules.pretrain.output.encoder,
    output:
        "<results>/pretrained/<run_trained_here>/separation.json",
    log:
        "<logs>/evaluate_separation/<run_trained_here>.log",
    threads: 2
    resources:
        gpu=GPU,
    params:
        **job_params(lambda wildcards: PLAN.jobs.evaluate_separation(run_of(wildcards))),
    shell:
        "{JOB} evaluate_separation --config {params.config:q} --code {params.code}"
        ' --corpus "$(dirname {input.corpus:q})" --encoder-file {input.encoder_file:q} --output {output:q}'
        " --threads {threads} &> {log:q}"


def checkpoint_file(wildcards):
    """Return the file of a published checkpoint, as a list: empty for an encoder whose network is the user's.

    It is the user's copy, or the archive of a package that holds it.
    """
    if PLAN.levels.external_files(imported_run(wildcards)) is not None:
        return []
    entry = CONFIG.checkpoints[wildcards.corpus]
    return [PLAN.layout.package(entry.package.archive) if entry.package else entry.path]


def checkpoint_flag(wildcards):
    """Return the flag that names the file of a published checkpoint, if there is one."""
    return [f"--checkpoint={file}" for file in checkpoint_file(wildcards)]


rule fetch_package:
    output:
        "<data>/packages/{package}",
    log:
        "<logs>/fetch_package/{package}.log",
    wildcard_constraints:
        package=r"[^/]+",
    localrule: True
    params:
        **job_params(lambda wildcards: PLAN.jobs.fetch_package(wildcards.package)),
    shell:
        "{PYTHON}.fetch_package --config {params.config:q} --code {params.code} --output {output:q} &> {log:q}"


rule import_checkpoint:
    input:
        checkpoint_file,
    output:
        encoder="<results>/pretrained/<run_imported>/encoder.safetensors",
        record="<results>/pretrained/<run_imported>/record.json",
    log:
        "<logs>/import_checkpoint/<run_imported>.log",
    localrule: True
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.import_checkpoint(imported_run(wildcards))
        ),
        checkpoint=checkpoint_flag,
    shell:
        "{JOB} import_checkpoint --config {params.config:q} --code {params.code}"
        ' {params.checkpoint:q} --output "$(dirname {output.encoder:q})" &> {log:q}'
