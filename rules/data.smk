"""Acquire data sets and decode them."""

import re


rule acquire:
    output:
        "<data>/{dataset}/acquired.json",
    log:
        "<logs>/acquire/{dataset}.log",
    threads: 4
    params:
        **job_params(lambda wildcards: PLAN.jobs.acquire(wildcards.dataset)),
    shell:
        '{PYTHON}.acquire --config {params.config:q} --code {params.code} --output "$(dirname {output:q})"'
        " &> {log:q}"


STEMS = sorted({stem for stems in PLAN.levels.stems.values() for stem in stems})
STEMMED = "|".join(map(re.escape, PLAN.levels.stems)) or "(?!)"


rule prepare:
    input:
        rules.acquire.output,
    output:
        corpus="<results>/corpora/{dataset}/{sample_rate}/corpus.json",
        audio="<results>/corpora/{dataset}/{sample_rate}/audio.int16",
        clips="<results>/corpora/{dataset}/{sample_rate}/clips.parquet",
        labels="<results>/corpora/{dataset}/{sample_rate}/labels.parquet",
        quarantine="<results>/corpora/{dataset}/{sample_rate}/quarantine.csv",
        record="<results>/corpora/{dataset}/{sample_rate}/record.json",
    log:
        "<logs>/prepare/{dataset}/{sample_rate}.log",
    wildcard_constraints:
        dataset=rf"(?!(?:{STEMMED})/)[^/]+",
    threads: 8
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.prepare(
                wildcards.dataset, int(wildcards.sample_rate)
            )
        ),
    shell:
        "{PYTHON}.prepare --config {params.config:q} --code {params.code} --acquired {input:q}"
        ' --output "$(dirname {output.corpus:q})" --threads {threads} &> {log:q}'


# The same script; the stems are outputs, so that a deleted one is written again for the jobs that read it.
use rule prepare as prepare_with_stems with:
    output:
        **rules.prepare.output,
        stems=expand(
            "<results>/corpora/{{dataset}}/{{sample_rate}}/audio.{stem}.int16",
            stem=STEMS,
        ),
    wildcard_constraints:
        dataset=STEMMED,
