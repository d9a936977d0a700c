#!/usr/bin/env bash
# Every gate of the workspace, one function each; CONTRIBUTING.md says what each guards.
#
#   ./check.sh               all gates, cheap ones first, up to the first failure
#   ./check.sh clippy loom   only these, in this order
#   ./check.sh --list        their names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

gates=(fmt arch clippy abort deny doc book test bench-smoke instructions loom sim memcheck asan asan-green tsan)
# Run only by name: they need a component or a toolchain that a developer may not have.
gates_by_name=(miri msrv mutants)

# The library crates.
libs=(-p future-result -p thread-pool -p process-pool -p green-tasks -p futures-lite-bridge)
# Those that only use threads: they can be simulated, and run under every checker as they are.
threads=(-p future-result -p thread-pool)
# Those with models; of process-pool, only the library is built for them.
modelled=("${threads[@]}" -p green-tasks -p futures-lite-bridge)
# The only files that may contain `unsafe`; these lists may use *.
unsafe_files=(
    benches/src/bin/instructions/paths.rs
    examples/libraries/src/main.rs
    future-result/src/cell.rs
    future-result/src/cell/*.rs
    future-result/src/claim.rs
    future-result/src/sync/identity.rs
    future-result/src/sync/magazine.rs
    future-result/src/sync/model.rs
    future-result/src/sync/sim.rs
    benches/src/pools/green.rs
    examples/crawl/src/green.rs
    examples/echo/src/token.rs
    examples/pools/src/token.rs
    examples/queue-blocking/src/token.rs
    process-pool/src/call.rs
    process-pool/src/claims/model.rs
    process-pool/src/page.rs
    process-pool/src/sys/linux/*.rs
    green-tasks/src/engine.rs
    green-tasks/src/reactor.rs
    green-tasks/src/reactor/*.rs
    green-tasks/src/runtime.rs
    green-tasks/src/scheduler/job.rs
    green-tasks/src/scheduler/switch.rs
    green-tasks/src/scope.rs
    green-tasks/src/stack/*.rs
    green-tasks/src/stackful.rs
    green-tasks/src/sync/mutex.rs
    green-tasks/src/sync/rwlock.rs
    green-tasks/src/watchdog.rs
    thread-pool/src/block.rs
    thread-pool/src/current.rs
    thread-pool/src/join.rs
    thread-pool/src/join/*.rs
    thread-pool/src/join/stack/*.rs
    thread-pool/src/scope.rs
    thread-pool/src/slice_map.rs
)
# The only library files that may name std's atomics.
facade_files=(
    future-result/src/sync.rs
    future-result/src/sync/*.rs
)
# What the workspace is compared with, and must never be built on.
peers=(
    async-executor async-global-executor async-std blocking chili executors forte futures futures-executor may oneshot
    orx-parallel paralight procspawn rayon rayon-core rusty_pool scheduled-thread-pool smol switchyard
    threadpool tokio
)

nightly="+${NIGHTLY:-nightly}"
host=$(rustc -vV | sed -n 's/^host: //p')
# In a shared folder other flags would rebuild everything, so each set of flags has its own.
target=${CARGO_TARGET_DIR:-target}

gate_fmt() {
    cargo fmt --all --check
}

gate_clippy() {
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy -p thread-pool -p process-pool -p futures-lite-bridge --all-targets --all-features --locked -- -D warnings
    # The checked builds have other code behind the facade. Only crates with models are built this way.
    RUSTFLAGS='--cfg pool_loom' cargo clippy "${modelled[@]}" --lib --test 'loom*' --locked \
        --target-dir "$target/loom-check" -- -D warnings
    RUSTFLAGS='--cfg pool_loom' cargo clippy -p process-pool --lib --profile test --locked \
        --target-dir "$target/loom-check" -- -D warnings
    RUSTFLAGS='--cfg pool_sim' cargo clippy "${threads[@]}" --lib --test sim --locked \
        --target-dir "$target/sim-check" -- -D warnings
    RUSTFLAGS='--cfg pool_sim' cargo clippy -p process-pool --lib --profile test --locked \
        --target-dir "$target/sim-check" -- -D warnings
}

# Green tasks must not compile without unwinding.
gate_abort() {
    local said
    if said=$(cargo rustc -p green-tasks --lib --locked --target-dir "$target/abort" -- -C panic=abort 2>&1); then
        echo 'green-tasks compiles with panic=abort, where no task can be cancelled'
        return 1
    fi
    grep -F 'build with `panic = "unwind"`' <<<"$said" >/dev/null || {
        printf '%s\n' "$said"
        return 1
    }
}

# Exactly what the README tells a user to run; then the features that are off by default.
gate_test() {
    cargo test
    cargo test -p thread-pool -p futures-lite-bridge --all-features --locked
    cargo test -p process-pool --all-features --locked
}

gate_doc() {
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace --locked
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps -p thread-pool -p process-pool -p futures-lite-bridge --all-features --locked
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace --locked --document-private-items
    # Stable accepts any error for a `compile_fail,E0277`; only nightly compares the code.
    cargo "$nightly" test --doc "${libs[@]}" --locked --target-dir "$target/nightly"
}

# Builds the guide. The `test` gate runs its snippets and checks its links.
gate_book() {
    local said
    # mdbook succeeds in spite of warnings.
    said=$(mdbook build docs --dest-dir "$(realpath -m "$target/book")" 2>&1) || { printf '%s\n' "$said"; return 1; }
    ! grep -E '^ *(WARN|ERROR)' <<<"$said"
}

gate_loom() {
    loom future-result 3
    loom thread-pool 2
    loom green-tasks 2
    loom process-pool 3 --lib model::
    loom futures-lite-bridge 3
}

# loom CRATE PREEMPTIONS [TESTS]: the bound keeps the search finite; a higher one is slower and finds more.
loom() (
    # The limit of branches in one run ends a livelock; a whole pool needs more than loom's default of 1,000.
    export RUSTFLAGS='--cfg pool_loom' LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-$2}
    export LOOM_MAX_BRANCHES=${LOOM_MAX_BRANCHES:-10000}
    local tests=("${@:3}")
    if ((${#tests[@]} == 0)); then
        tests=(--lib)
        # A crate may have all its models inside the library.
        [[ ! -e $1/tests/loom.rs ]] || tests+=(--test 'loom*')
    fi
    models=(cargo test --release --locked -p "$1" --target-dir "$target/loom" "${tests[@]}")
    "${models[@]}"
    # Models that a wrong cfg removes would pass too.
    "${models[@]}" -- --list 2>/dev/null | grep -c ': test$' >/dev/null || {
        echo "loom: $1 has no models"
        return 1
    }
)

# Whole programs on simulated threads. SIM_SEED=n SIM_RUNS=1 replays one.
gate_sim() {
    RUSTFLAGS='--cfg pool_sim' cargo test --release --locked -p thread-pool --test sim --target-dir "$target/sim"
    RUSTFLAGS='--cfg pool_sim' cargo test --release --locked -p process-pool --lib --target-dir "$target/sim" sim::
}

# The skipped tests limit a process's memory, in which the sanitizer's own does not fit.
gate_asan() {
    # --cfg pool_unpooled: a cell that is kept for reuse looks alive.
    RUSTFLAGS='-Zsanitizer=address --cfg pool_unpooled' ASAN_OPTIONS='detect_leaks=1' \
        cargo "$nightly" test "${threads[@]}" -p process-pool --tests --locked --target "$host" --target-dir "$target/asan" \
        -- --skip under_a_memory_limit
    # Without the tests that switch stacks, which gate_asan-green runs.
    RUSTFLAGS='-Zsanitizer=address --cfg pool_unpooled' ASAN_OPTIONS='detect_leaks=1' \
        cargo "$nightly" test -p futures-lite-bridge --tests --locked --target "$host" --target-dir "$target/asan" \
        -- --skip closures::
}

# Without the tests that leave tasks behind on purpose, which leak all that those own.
gate_asan-green() {
    RUSTFLAGS='-Zsanitizer=address --cfg pool_unpooled' ASAN_OPTIONS='detect_leaks=1' \
        cargo "$nightly" test -p green-tasks -p futures-lite-bridge \
        --features corosensei/sanitizer,futures-lite-bridge/green --test suite --locked \
        --target "$host" --target-dir "$target/asan" -- --skip left_behind
}

# std comes prebuilt without instrumentation, so libtest and std's locks look racy. The stress programs use
# neither, so there every report is real, except the one that tsan.supp explains.
gate_tsan() {
    RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
        TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions=$PWD/tsan.supp" \
        cargo "$nightly" test --release "${threads[@]}" -p futures-lite-bridge --test stress --locked \
        --target "$host" --target-dir "$target/tsan"
}

gate_memcheck() {
    local runner=CARGO_TARGET_${host^^}_RUNNER
    # --fair-sched: valgrind runs one thread at a time, and without it a waiting one can keep its turn.
    # RUSTFLAGS: valgrind may not be able to decode a caller's target-cpu=native.
    env "${runner//-/_}=valgrind -q --error-exitcode=99 --leak-check=full \
--errors-for-leak-kinds=definite,indirect --fair-sched=yes" RUSTFLAGS='--cfg pool_unpooled' STRESS_TASKS="${STRESS_TASKS:-20000}" \
        cargo test --release "${threads[@]}" -p futures-lite-bridge --test stress --locked --target-dir "$target/memcheck"
}

gate_deny() {
    cargo deny --locked check bans licenses sources
    # The advisories are a git repository. Offline they are skipped, unless ADVISORIES=required.
    if [[ ${ADVISORIES:-} == required ]] || timeout 60 cargo deny fetch db 2>/dev/null; then
        cargo deny --locked check advisories
    else
        echo 'advisories: SKIPPED, cannot reach their database'
    fi
}

# criterion's test mode: runs every benchmark once and measures nothing.
gate_bench-smoke() {
    cargo bench -p benches --locked -- --test
}

# Regressions of the hot paths, whatever the load of the machine.
gate_instructions() {
    cargo run --release -q -p benches --locked --bin instructions
}

# parking_lot keeps pointers in numbers, of which miri would tell each time.
gate_miri() {
    MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-env-set=STRESS_TASKS=100' \
        cargo "$nightly" miri test -p future-result --lib --tests --locked --target-dir "$target/miri"
    # Small ones besides on other schedules.
    MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-many-seeds=1..5' \
        cargo "$nightly" miri test -p future-result --test by_hand --test callbacks --test drops --test races \
        --test waker_in_cell --locked --target-dir "$target/miri"
}

# Breaks the code in one place at a time and expects the models to fail. Needs python3.
gate_mutants() {
    python3 tools/mutants.py
}

gate_msrv() {
    local version
    version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    cargo "+$version" check "${libs[@]}" --locked --target-dir "$target/msrv"
}

# The invariants of ARCHITECTURE.md that no lint checks.
gate_arch() {
    shopt -s nullglob globstar
    local broken=0 crate allowed edges file lines name
    local ours=(future-result thread-pool process-pool green-tasks futures-lite-bridge)
    local all=(*/src/**/*.rs examples/*/src/**/*.rs benches/benches/**/*.rs)

    for crate in "${ours[@]}"; do
        [[ -d $crate ]] || continue
        edges=normal,build,dev
        # Its tests await every pool.
        [[ $crate != futures-lite-bridge ]] || edges=normal,build
        case $crate in
            future-result) allowed=(future-result) ;;
            futures-lite-bridge) allowed=(futures-lite-bridge future-result thread-pool green-tasks) ;;
            *) allowed=("$crate" future-result) ;;
        esac
        depends "$crate must not depend on" \
            "$(printf '%s\n' "${ours[@]}" | grep -vxF "$(printf '%s\n' "${allowed[@]}")")" -p "$crate" --depth 1 --edges "$edges"
    done
    depends 'a peer outside benches:' "$(printf '%s\n' "${peers[@]}")" --workspace --exclude benches \
        --exclude futures-lite-bridge --exclude flash-sale
    # It shows the bridge with axum, which needs tokio.
    depends 'a peer in flash-sale:' "$(printf '%s\n' "${peers[@]}" | grep -vxF tokio)" -p flash-sale
    # The bridge is tested with other runtimes, and has a feature for tokio's; but by default it depends on none.
    depends 'a peer in the bridge:' "$(printf '%s\n' "${peers[@]}" | grep -vxF tokio)" -p futures-lite-bridge -e normal

    local checked=()
    for crate in "${ours[@]}"; do
        for file in "$crate"/src/**/*.rs; do
            listed "$file" "${facade_files[@]}" || checked+=("$file")
        done
    done
    # A `use` over several lines can hide from this, but not from clippy's disallowed_types.
    absent 'std atomics belong behind the sync facade' \
        '\b(std|core)::(sync::atomic|sync::\{[^}]*\batomic|\{.*\bsync::(\{.*\b)?atomic)\b|^\s+sync::(\{.*\b)?atomic\b' \
        "${checked[@]}"

    checked=()
    for file in "${all[@]}"; do
        listed "$file" "${unsafe_files[@]}" || checked+=("$file")
    done
    absent 'unsafe belongs in the files that check.sh lists' '\bunsafe\b' "${checked[@]}"

    # Green tasks may sleep: their sleep is cancelled, or is on a virtual clock.
    checked=()
    for file in */tests/**/*.rs examples/*/tests/**/*.rs; do
        [[ $file == green-tasks/* ]] || checked+=("$file")
    done
    absent 'tests order events by barriers and channels, never by sleeping' '\bsleep\(' "${checked[@]}"
    absent 'tests order events by barriers and channels, never by sleeping' '\bthread::sleep\b' green-tasks/tests/**/*.rs
    absent 'the coroutine crate belongs in one file' '\bcorosensei\b' \
        $(printf '%s\n' green-tasks/src/**/*.rs | grep -vxF green-tasks/src/engine.rs)
    # Tests may be of one system: a port has to go through them anyway.
    for file in process-pool/src/**/*.rs; do
        [[ $file != process-pool/src/sys/* && $file != */tests.rs ]] || continue
        lines=$(sed '/^#\[cfg(test)\]$/Q' "$file" | grep -nHP --label="$file" -- \
            '^(?:(?!//).)*?(?:\b(rustix|libc)\b|\bos::(fd|unix|linux)\b|"/(proc|dev|sys)/)') || { (($? == 1)); continue; }
        complain $'code for one system belongs in `sys`\n'"$lines"
    done
    for name in $(sed -n '/^pub(crate) use/,/;/p' process-pool/src/sys/linux.rs | grep -oP '\w+(?=[,}])|\w+(?=;)'); do
        grep -qw "$name" process-pool/src/sys.rs || complain "the error for other systems does not name sys::$name"
    done
    absent 'a worker must not know of handles' '\bJoinHandle\b' thread-pool/src/worker.rs
    absent 'a handle must not know of queues' '(?i)\b(queue|injector|deque)\b' future-result/src/handle.rs

    # Each name in a map of tests exists, as a gate, a file, or a test (a function, or a string where there is no
    # harness), whose name may be cut off.
    for file in process-pool/tests/README.md green-tasks/tests/suite/main.rs; do
        checked=("${file%%/*}"/{tests,src}/**/*.rs)
        lines=$(sed -nE 's/^(\/\/! )?\|.*\| (.*) \|$/\2/p' "$file" | grep -oP '`[^`]*`' | sed -E 's/`|\btests\/|\w+:://g; s/…/*/')
        [[ -n $lines ]] || complain "$file names no tests"
        while read -r name; do
            case $name in
                ./check.sh\ *) declare -F "gate_${name#* }" >/dev/null ;;
                *\*) grep -qE "(\bfn |\")${name%\*}" "${checked[@]}" ;;
                *) grep -qE "/$name(\.rs$|/)" <<<"$(printf '%s\n' "${checked[@]}")" \
                    || grep -qE "(\bfn |\")$name\b" "${checked[@]}" ;;
            esac || complain "$file names $name, which does not exist"
        done <<<"$lines"
    done

    # A mutant whose text is gone proves nothing about the models.
    lines=$(python3 tools/mutants.py --check) \
        || complain $'each text of tools/mutants.py must occur exactly once in its file\n'"$lines"

    for file in "${all[@]}"; do
        lines=$(wc -l <"$file")
        ((lines < 600)) || complain "a file has one idea and under 600 lines: $file has $lines"
    done
    return "$broken"
}

complain() {
    printf 'arch: %s\n' "$*"
    broken=1
}

# listed ITEM PATTERN…: whether ITEM is one of these.
listed() {
    local item=$1 pattern
    shift
    # shellcheck disable=SC2053 # it is a pattern
    for pattern; do [[ $item != $pattern ]] || return 0; done
    return 1
}

# absent REASON REGEX FILE…: complains about code that matches; comments may.
absent() {
    local reason=$1 regex=$2 hits
    shift 2
    # grep exits with 1 if it found nothing; 2, as for a missing file, must not pass for that.
    hits=$(grep -nHP -- "^(?:(?!//).)*?(?:$regex)" "$@" /dev/null) || { (($? == 1)); return; }
    complain "$reason"$'\n'"$hits"
}

# depends REASON NAMES CARGO-TREE-ARGS…: complains if one of NAMES is in the tree, under any alias.
depends() {
    local reason=$1 names=$2 tree hits
    shift 2
    tree=$(cargo tree --locked --all-features --target all --prefix none --format '{p}' "$@")
    hits=$(cut -d' ' -f1 <<<"$tree" | sort -u | grep -xF "$names") || { (($? == 1)); return; }
    complain "$reason ${hits//$'\n'/ }"
}

# Reports every outcome: a failing command exits through `set -e`.
summary() {
    local status=$?
    if ((status)); then
        printf '\n==> FAILED in %s, after %ss; passed before it: %s\n' "$current" "$SECONDS" "${passed[*]:-none}"
    else
        printf '\n==> passed in %ss: %s\n' "$SECONDS" "${passed[*]}"
    fi
}

known=("${gates[@]}" "${gates_by_name[@]}")
if [[ ${1:-} == --list ]]; then
    printf '%s\n' "${known[@]}"
    exit
fi
for gate; do
    listed "$gate" "${known[@]}" || { echo "no gate '$gate'; ./check.sh --list names them" >&2; exit 2; }
done

passed=()
trap summary EXIT
for current in "${@:-${gates[@]}}"; do
    started=$SECONDS
    printf '\n==> %s\n' "$current"
    "gate_$current"
    passed+=("$current($((SECONDS - started))s)")
    printf -- '--> %s: %ss\n' "$current" "$((SECONDS - started))"
done
