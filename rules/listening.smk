"""Write the pages to listen to the filters of encoders."""


def listening_cells(wildcards, place):
    """Return for each data set of a study's listening page the file that `place` returns of a run and a cell."""
    page = PLAN.listening_pages[wildcards.study]
    return [place(page.run, cell) for cell in page.cells]


def listening_flags(wildcards):
    """Return the flags that name the corpus, the embeddings and the head of each data set."""
    page = PLAN.listening_pages[wildcards.study]
    flags = []
    for cell in page.cells:
        rate = PLAN.levels.sample_rate(page.run)
        folder = PLAN.layout.evaluation(page.run, cell)
        flags += [
            f"--corpus={cell.dataset}={PLAN.layout.corpus_folder(cell.dataset, rate)}",
            f"--embeddings={cell.dataset}={PLAN.layout.embeddings(page.run, cell.dataset)}",
            f"--head={cell.dataset}={folder}/{result_files.HEAD}",
        ]
    return flags


rule write_listening_page:
    input:
        corpora=lambda wildcards: listening_cells(
            wildcards, lambda run, cell: corpus_of(cell.dataset, run)
        ),
        embeddings=lambda wildcards: listening_cells(
            wildcards, lambda run, cell: PLAN.layout.embeddings(run, cell.dataset)
        ),
        trials=lambda wildcards: finished_cells(
            listening_cells(wildcards, lambda run, cell: (run, cell))
        ),
    output:
        page="<results>/listening/{study}/index.html",
        record="<results>/listening/{study}/record.json",
    log:
        "<logs>/write_listening_page/{study}.log",
    wildcard_constraints:
        study="[^/]+",
    params:
        **job_params(
            lambda wildcards: PLAN.jobs.write_listening_page(
                PLAN.listening_pages[wildcards.study]
            )
        ),
        flags=listening_flags,
    shell:
        "{JOB} write_listening_page --config {params.config:q} --code {params.code} {params.flags:q}"
        ' --output "$(dirname {output.page:q})" &> {log:q}'
