"""Everything that needs the internet, for a login node: all other rules work without."""


rule acquire_all:
    input:
        [PLAN.layout.acquisition_record(name) for name in downloaded_datasets(PLAN)],
        [PLAN.layout.package(archive) for archive in PLAN.packages],
        [PLAN.layout.fetched_weights(model) for model in PLAN.fetched_weights],
    localrule: True
