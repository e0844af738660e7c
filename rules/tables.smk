"""Write the tables and draw the figures of all studies."""

STUDIES = sorted(PLAN.studies)
TEMPLATES = sorted(
    str(path) for path in (ROOT / "workflow_scripts" / "report" / "templates").iterdir()
)
DRAWN = sorted(name for name, study in PLAN.studies.items() if study.get("figure"))
SEPARATIONS = [PLAN.layout.separation(run) for run in PLAN.separating]
FIGURES = sorted(
    {
        registry.module_name("figure", PLAN.studies[name]["figure"]["kind"])
        for name in DRAWN
    }
)


rule tabulate:
    input:
        **rules.aggregate.output,
        templates=TEMPLATES,
        separations=SEPARATIONS,
    output:
        tables=expand(
            "<results>/tables/{study}.{format}",
            study=STUDIES,
            format=["csv", "md", "tex", "html"],
        ),
        comparisons=expand("<results>/tables/{study}_comparisons.csv", study=STUDIES),
        reproduction=expand(
            "<results>/tables/reproduction.{format}",
            format=["csv", "md", "tex", "html"],
        ),
        separation=["<results>/tables/separation.csv"] if SEPARATIONS else [],
        index="<results>/tables/index.md",
    log:
        "<logs>/tabulate.log",
    localrule: True
    params:
        code=provenance.code_digest("tabulate"),
    shell:
        '{PYTHON}.tabulate --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --output "$(dirname {output.tables[0]:q})" &> {log:q}'


rule draw:
    input:
        **rules.aggregate.output,
        looked_at=figure_inputs(MANIFEST),
    output:
        figures=expand(
            "<results>/figures/{study}.{format}",
            study=DRAWN,
            format=["svg", "pdf", "png", "csv"],
        ),
    log:
        "<logs>/draw.log",
    localrule: True
    params:
        code=provenance.code_digest("draw", chosen=FIGURES),
    shell:
        '{PYTHON}.draw --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --output "$(dirname {output.figures[0]:q})" &> {log:q}'
