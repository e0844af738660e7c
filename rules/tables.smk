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


def show_table(study, format):
    """Return a file of a study's table; Snakemake's report shows the page and the numbers."""
    path = f"<tables>/{study}.{format}"
    captions = {"html": "table", "csv": "numbers"}
    if format not in captions:
        return path
    caption = "reproduction" if study == "reproduction" else captions[format]
    return show(path, "Tables", caption=caption, study=study, format=format)


def show_figure(study, format):
    """Return a file of a study's figure; Snakemake's report shows the drawing and the numbers."""
    path = f"<figures>/{study}.{format}"
    captions = {"svg": "figure", "csv": "numbers"}
    if format not in captions:
        return path
    return show(path, "Figures", caption=captions[format], study=study, format=format)


rule tabulate:
    input:
        **rules.aggregate.output,
        templates=TEMPLATES,
        separations=SEPARATIONS,
    output:
        tables=[
            show_table(study, format) for study in STUDIES for format in TABLE_FORMATS
        ],
        comparisons=[
            show(
                f"<tables>/{study}_comparisons.csv",
                "Comparisons",
                caption="comparisons",
                study=study,
            )
            for study in STUDIES
        ],
        reproduction=[show_table("reproduction", format) for format in TABLE_FORMATS],
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
        figures=[
            show_figure(study, format)
            for study in STUDIES_WITH_FIGURE
            for format in FIGURE_FORMATS
        ],
    log:
        "<logs>/draw.log",
    localrule: True
    params:
        code=provenance.code_digest("draw", chosen=FIGURES),
    shell:
        '{PYTHON}.draw --code {params.code} --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --output "$(dirname {output.figures[0]:q})" &> {log:q}'
