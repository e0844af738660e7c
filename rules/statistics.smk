"""Aggregate all trials and compare methods."""

MANIFEST = build_manifest(PLAN)
MANIFEST_DIGEST = MANIFEST.digest
CELL_LISTS = CellLists(
    PLAN.layout,
    dict(zip(PLAN.cells, MANIFEST.cells, strict=True)),
    compare=workflow.is_main_process,
)
CONFIG_JSON = json.dumps(config, sort_keys=True)
# The names of config files are recorded so that a result can be reproduced; they are not part of the digest.
CONFIG_FLAGS = shlex.join(
    ["--configfile", *map(str, CONFIG_FILES[1:])] if CONFIG_FILES[1:] else []
)


def finished_cells(pairs):
    """Return the files by which a job depends on cells, each once."""
    files = []
    for pair in pairs:
        group = PLAN.cell_groups.get(pair)
        files += CELL_LISTS.outputs(group) if group else [PLAN.layout.trials(*pair)]
    return list(dict.fromkeys(files))


# The file name contains the digest: a changed plan is a missing file, so stale results are recognised even if
# Snakemake has lost its own records.
rule plan:
    output:
        PLAN.layout.manifest(MANIFEST_DIGEST),
    log:
        "<logs>/plan.log",
    localrule: True
    params:
        code=provenance.code_digest("plan"),
    shell:
        "{PYTHON}.plan --config {CONFIG_JSON:q} --digest {MANIFEST_DIGEST} --output {output:q} {CONFIG_FLAGS} &> {log:q}"


rule aggregate:
    input:
        manifest=rules.plan.output,
        # functions: of a list Snakemake compares each file with all of its files
        trials=lambda _: finished_cells(PLAN.cells),
        spectra=lambda _: [PLAN.layout.spectra(*pair) for pair in PLAN.filter_jobs],
        clean=expand(rules.require_clean.output, dataset=PLAN.must_be_clean),
    output:
        **{name: f"<statistics>/{file}" for name, file in STATISTICS_FILES.items()},
    log:
        "<logs>/aggregate.log",
    localrule: True
    threads: 8
    params:
        code=provenance.code_digest("aggregate"),
    shell:
        "{PYTHON}.aggregate --manifest {input.manifest:q} --digest {MANIFEST_DIGEST} --code {params.code}"
        ' --output "$(dirname {output.trials:q})"'
        " --threads {threads} &> {log:q}"
        " && cp {input.manifest:q} {output.manifest:q}"
