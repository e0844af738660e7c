from snakemake.utils import min_version

min_version("9.12")  # the first with pathvars


configfile: "config/config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/start.smk"
include: "rules/data.smk"
include: "rules/features.smk"
include: "rules/pretrain.smk"
include: "rules/downstream.smk"
include: "rules/network.smk"
include: "rules/audit.smk"
include: "rules/statistics.smk"
include: "rules/tables.smk"
include: "rules/unfinished.smk"
include: "rules/report.smk"
include: "rules/listening.smk"


rule all:
    default_target: True
    input:
        rules.plan.output,
        rules.compose.output.page,
        rules.tabulate.output,
        rules.draw.output,
        [PLAN.layout.listening_page(study) for study in PLAN.listening_pages],
