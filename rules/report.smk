"""Compose the report."""


rule compose:
    input:
        **rules.aggregate.output,
        templates=TEMPLATES,
        tables=rules.tabulate.output.tables,
        figures=rules.draw.output.figures,
        audits=expand(rules.audit.output, dataset=PLAN.audits),
        separations=SEPARATIONS,
    output:
        page=show(PLAN.layout.report, "Report", caption="page", page="overview"),
    log:
        "<logs>/compose.log",
    localrule: True
    params:
        code=provenance.code_digest("compose", chosen=FIGURES),
        figures=PLAN.layout.figures,  # empty if no study has a figure
    shell:
        '{PYTHON}.compose --code {params.code} --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        ' --figures {params.figures:q} --output "$(dirname {output.page:q})" &> {log:q}'
        " && rm -rf {UNFINISHED.results:q}"
