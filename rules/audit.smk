"""Search for leaks between test clips and training data, and stop if a study forbids them."""


def audited_corpora(dataset):
    """Return the facts files of the corpora that an audit compares, the evaluated data set's first."""
    return [PLAN.layout.corpus(*corpus) for corpus in PLAN.audits[dataset]]


# OMP_NUM_THREADS=1, because the job's own threads use the cores.
rule audit:
    input:
        lambda wildcards: audited_corpora(wildcards.dataset),
    output:
        numbers="<results>/audits/{dataset}.json",
        overlaps="<results>/audits/{dataset}.csv",
    log:
        "<logs>/audit/{dataset}.log",
    priority: 2  # before training, to fail early for studies that require a clean audit
    threads: 8
    params:
        **job_params(lambda wildcards: PLAN.jobs.audit(PLAN.audits[wildcards.dataset])),
        corpora=lambda wildcards: [
            f"--{'pretraining' if number else 'corpus'}={Path(facts).parent}"
            for number, facts in enumerate(audited_corpora(wildcards.dataset))
        ],
    shell:
        "OMP_NUM_THREADS=1 {PYTHON}.audit --config {params.config:q} --code {params.code} {params.corpora:q}"
        " --output {output.numbers:q} --threads {threads} &> {log:q}"


rule require_clean:
    input:
        numbers=rules.audit.output.numbers,
        overlaps=rules.audit.output.overlaps,
    output:
        "<results>/audits/{dataset}.clean.json",
    log:
        "<logs>/require_clean/{dataset}.log",
    priority: 2
    retries: 0  # another attempt reads the same audit
    localrule: True
    params:
        code=lambda wildcards: PLAN.jobs.require_clean(PLAN.audits[wildcards.dataset]),
        studies=lambda wildcards: [
            f"--study={name}" for name in PLAN.must_be_clean[wildcards.dataset]
        ],
    shell:
        "{PYTHON}.require_clean --code {params.code} --audit {input.numbers:q} {params.studies:q}"
        " --output {output:q} &> {log:q}"
