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
        page=PLAN.layout.report,
        # All pages and their shared files, which `snakemake --report report.zip` packs as they are. `update`: files
        # that others put into the folder stay; the command removes those of its own that are no more.
        site=show(
            update(directory(str(Path(PLAN.layout.report).parent))),
            "Report",
            caption="page",
            htmlindex=Path(PLAN.layout.report).name,
            page="overview",
        ),
    log:
        "<logs>/compose.log",
    localrule: True
    params:
        code=provenance.code_digest("compose", chosen=FIGURES),
        figures=PLAN.layout.figures,  # empty if no study has a figure
    shell:
        '{PYTHON}.compose --code {params.code} --manifest {input.manifest:q} --statistics "$(dirname {input.trials:q})"'
        " --figures {params.figures:q} --output {output.site:q} &> {log:q}"
        " && rm -rf {UNFINISHED.results:q}"
