"""Evaluate encoders on labelled data sets, ten trials in each cell."""


def encoder_file(wildcards):
    """Return the encoder file that a job starts from, as a list: empty for an untrained encoder."""
    run = run_of(wildcards)
    return (
        collect(rules.pretrain.output.encoder, **vars(run))
        if run.has_encoder_file
        else []
    )


def encoder_file_flag(wildcards):
    """Return the flag that names the encoder file, if there is one."""
    return [f"--encoder-file={file}" for file in encoder_file(wildcards)]


rule embed:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.dataset, run_of(wildcards)),
        encoder_file=encoder_file,
    output:
        embeddings="<results>/embeddings/<run>/{dataset}.npy",
        record="<results>/embeddings/<run>/{dataset}.json",
    log:
        "<logs>/embed/<run>/{dataset}.log",
    threads: 1
    resources:
        gpu=GPU,
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.embed(run_of(wildcards), wildcards.dataset)
        ),
        encoder_file=encoder_file_flag,
    shell:
        '{JOB} embed --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        " {params.encoder_file:q} --output {output.embeddings:q} --threads {threads} &> {log:q}"


def trained_encoder(wildcards):
    """Return the kept encoder of a cell, or the encoder file of its run: the path, and the output that it lies beside.

    Both are lists, empty for an untrained encoder.
    """
    run, cell = run_of(wildcards), cell_of(wildcards)
    if not cell.trains_encoder:
        file = encoder_file(wildcards)
        return file, file
    folder = PLAN.layout.evaluation(run, cell)
    return [f"{folder}/{result_files.ENCODER}"], [PLAN.layout.trials(run, cell)]


rule visualise_filters:
    input:
        corpus=lambda wildcards: corpus_of(
            audio_of(run_of(wildcards), cell_of(wildcards)), run_of(wildcards)
        ),
        encoder=lambda wildcards: trained_encoder(wildcards)[1],
    output:
        spectra="<results>/filters/<run>/<cell>/spectra.npz",
        record="<results>/filters/<run>/<cell>/record.json",
    log:
        "<logs>/visualise_filters/<run>/<cell>.log",
    threads: 1
    resources:
        gpu=GPU,
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.visualise_filters(
                run_of(wildcards), cell_of(wildcards)
            )
        ),
        encoder_file=lambda wildcards: [
            f"--encoder-file={file}" for file in trained_encoder(wildcards)[0]
        ],
    shell:
        '{JOB} visualise_filters --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        " {params.encoder_file:q} --output {output.spectra:q} --threads {threads} &> {log:q}"


FROZEN_CELLS = {
    (group.run, group.dataset, group.number): group
    for group in PLAN.cell_groups.values()
}


def frozen_cells(wildcards):
    """Return the group of cells that a job evaluates on embeddings."""
    return FROZEN_CELLS[run_of(wildcards), wildcards.dataset, int(wildcards.group)]


# All cells of a run and a data set in one job. The list is its only output, so that Snakemake leaves finished cells
# alone. The params depend on the input, so that they do not decide whether the job runs: `CELL_LISTS` does, by the
# records of the cells. A cell is thus computed again if it has changed, not if others have.
rule evaluate_embeddings:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.dataset, run_of(wildcards)),
        embeddings=rules.embed.output.embeddings,
    output:
        "<results>/evaluations/<run>/{dataset}/cells{group}.json",
    log:
        "<logs>/evaluate_embeddings/<run>/{dataset}/{group}.log",
    threads: 1
    params:
        code=lambda wildcards, input: PLAN.jobs.evaluate_embeddings(
            frozen_cells(wildcards)
        ).code,
        config=lambda wildcards, input: PLAN.jobs.evaluate_embeddings(
            frozen_cells(wildcards)
        ).config,
        former=lambda wildcards, output: next(
            path
            for path in PLAN.layout.cell_lists(
                run_of(wildcards), wildcards.dataset, int(wildcards.group)
            )
            if path != output[0]
        ),
    shell:
        '{JOB} evaluate_embeddings --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        " --embeddings {input.embeddings:q} --output {output:q} --former {params.former:q} --threads {threads} &> {log:q}"


# The same job. Snakemake does not run it again for a file that is there: if cells have changed or are missing, the list
# is asked for under its other name, and the job removes the one before.
use rule evaluate_embeddings as evaluate_embeddings_again with:
    output:
        "<results>/evaluations/<run>/{dataset}/cells{group}.again.json",


# One cell alone: for whoever asks Snakemake for its trials, as `explain` does to repeat them.
rule evaluate_cell:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.dataset, run_of(wildcards)),
        embeddings=rules.embed.output.embeddings,
    output:
        trials="<results>/evaluations/<run>/<cell_on_embeddings>/trials.csv",
        predictions="<results>/evaluations/<run>/<cell_on_embeddings>/predictions.npz",
        record="<results>/evaluations/<run>/<cell_on_embeddings>/record.json",
    log:
        "<logs>/evaluate/<run>/<cell_on_embeddings>.log",
    threads: 1
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.evaluate(run_of(wildcards), cell_of(wildcards))
        ),
    shell:
        '{JOB} evaluate --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        ' --embeddings {input.embeddings:q} --output "$(dirname {output.trials:q})" --threads {threads} &> {log:q}'


def weights_of_head(wildcards):
    """Return the note on the fetched weights that a cell's head starts from, as a list: empty for most heads."""
    model = PLAN.levels.fetched_weights(wildcards.head)
    return [] if model is None else [PLAN.layout.fetched_weights(model)]


rule fetch_weights:
    output:
        "<data>/downloads/timm/{model}.json",
    log:
        "<logs>/fetch_weights/{model}.log",
    wildcard_constraints:
        model=r"[^/]+",
    localrule: True
    params:
        **job_params(lambda wildcards: PLAN.jobs.fetch_weights(wildcards.model)),
    shell:
        "HF_HUB_OFFLINE=0 {PYTHON}.fetch_weights --config {params.config:q} --code {params.code} --output {output:q}"
        " &> {log:q}"


rule evaluate_encoder:
    input:
        corpus=lambda wildcards: corpus_of(wildcards.dataset, run_of(wildcards)),
        encoder_file=encoder_file,
        weights=lambda wildcards: ancient(weights_of_head(wildcards)),
    output:
        trials="<results>/evaluations/<run>/<cell_with_encoder>/trials.csv",
        predictions="<results>/evaluations/<run>/<cell_with_encoder>/predictions.npz",
        record="<results>/evaluations/<run>/<cell_with_encoder>/record.json",
    log:
        "<logs>/evaluate/<run>/<cell_with_encoder>.log",
    priority: 1  # before short jobs, so that it is not the last one, alone
    threads: 1  # with small data sets, several jobs use cores better than several threads of one job
    resources:
        gpu=GPU,
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.evaluate(run_of(wildcards), cell_of(wildcards))
        ),
        encoder_file=encoder_file_flag,
    shell:
        '{JOB} evaluate --config {params.config:q} --code {params.code} --corpus "$(dirname {input.corpus:q})"'
        ' {params.encoder_file:q} --output "$(dirname {output.trials:q})" --threads {threads} &> {log:q}'
