# One job: number, output, mem_mb. Its result depends on the number alone.
set -euo pipefail
number=$1 output=$2
job=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
echo "$job" >> "starts/$number"
while [ -e "hold/$number" ]; do sleep 0.2; done
if [ -e "faults/$number" ]; then
    kind=$(cat "faults/$number")
    rm "faults/$number" # the next attempt succeeds
    case $kind in
        fails) exit 1 ;;
        mistaken) echo mistaken > "faults/$number"; exit 2 ;; # like a script whose config is wrong
        dies) kill -KILL $$ ;;
        half) echo 12 > "$output"; kill -KILL $PPID $$ ;; # a half-written file, and the Snakemake of the job dies too
        hungry) echo hungry > "faults/$number"; head --bytes=1500M /dev/zero | tail | { sleep 5; wc --bytes; } > /dev/null ;;
        cancelled) scancel "$job"; sleep 60 ;;
    esac
fi
result=$(echo "$number" | sha256sum | cut -c 1-16)
echo "$number $result" >> "ends/$number"
echo "$number $result" > "$output.partial"
mv "$output.partial" "$output"
