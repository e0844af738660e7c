"""Write the tables and draw the figures of all studies."""

STUDIES = sorted(PLAN.studies)
TEMPLATES = sorted(
    str(path)
    for path in (ROOT / "workflow_scripts" / "report" / "templates").rglob("*")
    if path.is_file()
)
STUDIES_WITH_FIGURE = sorted(
    name for name, study in PLAN.studies.items() if study.figure
)
SEPARATIONS = [PLAN.layout.separation(run) for run in PLAN.separation_runs]
FIGURES = sorted(
    {
        registry.module_name("figure", PLAN.studies[name].figure.kind)
        for name in STUDIES_WITH_FIGURE
    }
)


rule tabulate:
    input:
        **rules.aggregate.output,
        templates=TEMPLATES,
        separations=SEPARATIONS,
    output:
        tables=expand(
            "<tables>/{study}.{format}",
            study=STUDIES,
            format=TABLE_FORMATS,
        ),
        comparisons=expand("<tables>/{study}_comparisons.csv", study=STUDIES),
        reproduction=expand(
            "<tables>/reproduction.{format}",
            format=TABLE_FORMATS,
        ),
        latex=directory("<tables>/latex"),
        separation=["<tables>/separation.csv"] if SEPARATIONS else [],
        index="<tables>/index.md",
    log:
        "<logs>/tabulate.log",
    localrule: True
    params:
        code=provenance.code_digest("tabulate"),
    shell:
        '{PYTHON}.tabulate --code {params.code} --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --output "$(dirname {output.tables[0]:q})" &> {log:q}'


rule draw:
    input:
        **rules.aggregate.output,
        figure_inputs=figure_inputs(MANIFEST),
    output:
        figures=expand(
            "<figures>/{study}.{format}",
            study=STUDIES_WITH_FIGURE,
            format=FIGURE_FORMATS,
        ),
    log:
        "<logs>/draw.log",
    localrule: True
    params:
        code=provenance.code_digest("draw", chosen=FIGURES),
    shell:
        '{PYTHON}.draw --code {params.code} --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --output "$(dirname {output.figures[0]:q})" &> {log:q}'
