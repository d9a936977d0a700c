#!/usr/bin/env python3
"""Weakens the code in one place at a time and expects the loom models to fail; for a name that begins with
`sim:` or `process sim:` the simulation, and with `green:` the tests of green tasks.

    ./check.sh mutants            all of them, about ten seconds each
    tools/mutants.py fence        those whose name contains this
    tools/mutants.py --check      breaks nothing: lists the mutants whose text is gone

A mutant whose text does not occur exactly once tests nothing and is an error: bring it up to date.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBS = ["future-result", "thread-pool", "process-pool", "green-tasks", "futures-lite-bridge"]

# name, crate, file, text, its replacement
MUTANTS = [
    (
        "a waiter takes whatever task its queue pops for its own",
        "future-result",
        "src/cell/task.rs",
        "if !handle.is_of(self.0) || !unsafe",
        "let _ = handle.is_of(self.0);\n        if !unsafe",
    ),
    (
        "a waiter takes a task for its own that others can claim",
        "future-result",
        "src/state.rs",
        "if self.0.load(Ordering::Acquire) != QUEUED | TASK | HANDLE {",
        "if self.0.load(Ordering::Acquire) & PHASE != QUEUED {",
    ),
    (
        "a runner that also holds the handle ignores tokens",
        "future-result",
        "src/state.rs",
        "if self.0.load(Ordering::Acquire) != RUNNING | HANDLE {",
        "if self.0.load(Ordering::Acquire) & PHASE != RUNNING {",
    ),
    (
        "a listener misses that cancellation came first",
        "future-result",
        "src/state.rs",
        "        Snapshot(before).is_cancelled()",
        "        let _ = Snapshot(before).is_cancelled();\n        false",
    ),
    (
        "canceller looks for listeners before it cancels",
        "future-result",
        "src/cell/listeners.rs",
        """    let claim = state.claim_to_cancel();
    // Looked at after the claim: whoever sets the flag later sees that the cell is cancelled.
    if matches!(claim, CancelClaim::Won | CancelClaim::Requested) && state.load().is_heard() {""",
        """    let is_heard = state.load().is_heard();
    let claim = state.claim_to_cancel();
    if matches!(claim, CancelClaim::Won | CancelClaim::Requested) && is_heard {""",
    ),
    (
        "listener announces itself before it registers its waker",
        "future-result",
        "src/cell/listeners.rs",
        """            self.register(waker.clone());
            // SAFETY: a token is an owner.
            if !unsafe { state(self.token.cell()) }.listen() {
                return Poll::Pending;
            }
""",
        """            // SAFETY: a token is an owner.
            let before = unsafe { state(self.token.cell()) }.listen();
            self.register(waker.clone());
            if !before {
                return Poll::Pending;
            }
""",
    ),
    (
        "busy handle wakes nobody",
        "future-result",
        "src/shared.rs",
        """                stage.wanted = true;
                CheckOut::Busy""",
        "                CheckOut::Busy",
    ),
    (
        "worker tries before it registers",
        "future-result",
        "src/result.rs",
        """        let polled = self.handle.poll_done(context);
        if polled.is_pending()
            && self.may_run
            && may_begin(self.deadline)
            && self.handle.run_in_place() == InPlace::Ran
        {
            return Poll::Ready(());
        }
        polled
""",
        """        if self.may_run
            && may_begin(self.deadline)
            && self.handle.run_in_place() == InPlace::Ran
        {
            return Poll::Ready(());
        }
        self.handle.poll_done(context)
""",
    ),
    (
        "complete publishes nothing",
        "future-result",
        "src/state.rs",
        """                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) if current & WAITER""",
        """                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) if current & WAITER""",
    ),
    (
        "complete acquires nothing",
        "future-result",
        "src/state.rs",
        """                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) if current & WAITER""",
        """                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) if current & WAITER""",
    ),
    (
        "load acquires nothing",
        "future-result",
        "src/state.rs",
        "Snapshot(self.0.load(Ordering::Acquire))",
        "Snapshot(self.0.load(Ordering::Relaxed))",
    ),
    (
        "release_waiter orders nothing",
        "future-result",
        "src/state.rs",
        "self.0.fetch_and(!WAITER, Ordering::AcqRel)",
        "self.0.fetch_and(!WAITER, Ordering::Relaxed)",
    ),
    (
        "release_task orders nothing",
        "future-result",
        "src/state.rs",
        "self.0.fetch_and(!TASK, Ordering::AcqRel)",
        "self.0.fetch_and(!TASK, Ordering::Relaxed)",
    ),
    (
        "detach publishes nothing",
        "future-result",
        "src/state.rs",
        "|current| current & !HANDLE, Ordering::Release",
        "|current| current & !HANDLE, Ordering::Relaxed",
    ),
    (
        "publish_waiter publishes nothing",
        "future-result",
        "src/state.rs",
        "|current| current | WAITER, Ordering::Release",
        "|current| current | WAITER, Ordering::Relaxed",
    ),
    (
        "publish_callbacks publishes nothing",
        "future-result",
        "src/state.rs",
        "|current| current | CALLBACKS, Ordering::Release",
        "|current| current | CALLBACKS, Ordering::Relaxed",
    ),
    (
        "update_unless_done acquires nothing",
        "future-result",
        "src/state.rs",
        """        let mut current = self.0.load(Ordering::Acquire);
        while !Snapshot(current).is_done() {
            match self.0.compare_exchange_weak(
                current,
                update(current),
                ordering,
                Ordering::Acquire,""",
        """        let mut current = self.0.load(Ordering::Relaxed);
        while !Snapshot(current).is_done() {
            match self.0.compare_exchange_weak(
                current,
                update(current),
                ordering,
                Ordering::Relaxed,""",
    ),
    (
        "retire orders nothing",
        "future-result",
        "src/state.rs",
        ".compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Acquire)",
        ".compare_exchange_weak(current, next, Ordering::Relaxed, Ordering::Relaxed)",
    ),
    (
        "release_handle orders nothing",
        "future-result",
        "src/state.rs",
        "self.0.fetch_and(!HANDLE, Ordering::AcqRel)",
        "self.0.fetch_and(!HANDLE, Ordering::Relaxed)",
    ),
    (
        "release_token orders nothing",
        "future-result",
        "src/state.rs",
        "self.0.fetch_sub(TOKEN, Ordering::AcqRel)",
        "self.0.fetch_sub(TOKEN, Ordering::Relaxed)",
    ),
    (
        "waiter is not an owner",
        "future-result",
        "src/state.rs",
        "const OWNERS: u32 = !(PHASE | CALLBACKS | CANCEL | HEARD);",
        "const OWNERS: u32 = !(PHASE | WAITER | CALLBACKS | CANCEL | HEARD);",
    ),
    (
        "task is not an owner",
        "future-result",
        "src/state.rs",
        "const OWNERS: u32 = !(PHASE | CALLBACKS | CANCEL | HEARD);",
        "const OWNERS: u32 = !(PHASE | TASK | CALLBACKS | CANCEL | HEARD);",
    ),
    (
        "claim as handle is unconditional",
        "future-result",
        "src/state.rs",
        """while current & PHASE == QUEUED {
            match self.0.compare_exchange_weak(
                current,
                current | set""",
        """while current & PHASE <= RUNNING {
            match self.0.compare_exchange_weak(
                current,
                current | set""",
    ),
    (
        "completer ignores cancel",
        "future-result",
        "src/state.rs",
        "if current & PHASE != before & PHASE {",
        "if current & PHASE != before & PHASE && current & PHASE != RUNNING {",
    ),
    (
        "retract_waiter ignores done",
        "future-result",
        "src/cell/reader.rs",
        """            if state.retract_waiter().is_err() {
                return true;
            }""",
        "            let _ = state.retract_waiter();",
    ),
    (
        "publish_waiter ignores done",
        "future-result",
        "src/cell/reader.rs",
        "if state.publish_waiter().is_ok() {",
        "if state.publish_waiter().is_ok() || true {",
    ),
    (
        "callbacks register ignores done",
        "future-result",
        "src/cell/callbacks.rs",
        """        if state.load().is_done() {
            drop(inner);
            return true;
        }""",
        "",
    ),
    (
        "callbacks add ignores done",
        "future-result",
        "src/cell/callbacks.rs",
        """        if state.load().is_done() {
            return Some(callback);
        }""",
        "",
    ),
    (
        "add_first forgets the waker",
        "future-result",
        "src/cell/reader.rs",
        """contain(|| waker.wake());
        }
        callback""",
        """drop(waker);
        }
        callback""",
    ),
    (
        "list does not wake the waiter",
        "future-result",
        "src/cell/runner.rs",
        """                if let Some(waker) = waker {
                    contain(|| waker.wake());""",
        """                if let Some(waker) = waker {
                    contain(|| drop(waker));""",
    ),
    (
        "no fence in push",
        "future-result",
        "src/ready_queue.rs",
        """        fence(Ordering::SeqCst);
        if self.asleep.load""",
        "        if self.asleep.load",
    ),
    (
        "no fence in poll_pop",
        "future-result",
        "src/ready_queue.rs",
        """        fence(Ordering::SeqCst);
        match self.try_pop()""",
        "        match self.try_pop()",
    ),
    (
        "no second check in poll_pop",
        "future-result",
        "src/ready_queue.rs",
        """        match self.try_pop() {
            Some(ticket) => {""",
        """        match None::<Ticket> {
            Some(ticket) => {""",
    ),
    (
        "shared does not poll again",
        "future-result",
        "src/shared.rs",
        "if looks < LOOKS_MAX && self.fan_out.was_woken() {",
        "if false {",
    ),
    (
        "shared does not repeat a cancellation",
        "future-result",
        "src/shared.rs",
        "if mem::take(&mut stage.cancel) {",
        "if false {",
    ),
    (
        "parker acquires nothing",
        "future-result",
        "src/blocker.rs",
        "self.woken.swap(false, Ordering::Acquire)",
        "self.woken.swap(false, Ordering::Relaxed)",
    ),
    (
        "parker loses a wake-up",
        "future-result",
        "src/blocker.rs",
        "if !self.woken.swap(true, Ordering::AcqRel) {",
        "if self.woken.swap(true, Ordering::AcqRel) {",
    ),
    (
        "deadlock search runs before registering",
        "future-result",
        "src/deadlock.rs",
        """    to_wake.append(&mut registry.take_disproved());
""",
        """    let Some(parked) = registry.remove(ticket) else {
        return Ok(None);
    };
    drop(registry);
    let mut registry = REGISTRY.lock();
    let ticket = registry.insert(parked);
    to_wake.append(&mut registry.take_disproved());
""",
    ),
    (
        "deadlock with a task that has ended",
        "future-result",
        "src/cell/token.rs",
        """    let entered = RUNNING.try_with(|running| unsafe { running.push(&entry) });
    // A thread whose locals are being destroyed runs its task without a token.
    let _leave = entered.is_ok().then(|| Leave(&entry));
""",
        """    let entry: &Entry = Box::leak(Box::new(entry));
    let _ = RUNNING.try_with(|running| unsafe { running.push(entry) });
    let _ = Leave;
""",
    ),
    (
        "deadlock search does not wake disproved waits",
        "future-result",
        "src/deadlock.rs",
        "to_wake.append(&mut registry.take_disproved());",
        "drop(registry.take_disproved());",
    ),
    (
        "inbox push publishes nothing",
        "future-result",
        "src/cell/list.rs",
        """                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                // Last touch""",
        """                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                // Last touch""",
    ),
    (
        "inbox take acquires nothing",
        "future-result",
        "src/cell/list.rs",
        """                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                // SAFETY: the swap""",
        """                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                // SAFETY: the swap""",
    ),
    (
        "inbox close acquires nothing",
        "future-result",
        "src/cell/list.rs",
        "let newest = self.head.swap(CLOSED, Ordering::SeqCst);",
        "let newest = self.head.swap(CLOSED, Ordering::Relaxed);",
    ),
    (
        "inbox push ignores the close",
        "future-result",
        "src/cell/list.rs",
        """            if head == CLOSED {
                return false;
            }
            // ORDERING""",
        "            // ORDERING",
    ),
    (
        "inbox push retries with a stale head",
        "future-result",
        "src/cell/list.rs",
        """                Ok(_) => return true,
                Err(seen) => head = seen,""",
        """                Ok(_) => return true,
                Err(_) => head = ptr::null_mut(),""",
    ),
    (
        "ring is overfilled",
        "future-result",
        "src/cell/ring.rs",
        "if tail - head >= RING as u64 {",
        "if tail - head > RING as u64 {",
    ),
    (
        "ring push publishes nothing",
        "future-result",
        "src/cell/ring.rs",
        "ring.tail.0.swap(tail + 1, Ordering::SeqCst);",
        "ring.tail.0.swap(tail + 1, Ordering::Relaxed);",
    ),
    (
        "ring pop acquires nothing",
        "future-result",
        "src/cell/ring.rs",
        "        let tail = ring.tail.0.load(Ordering::Acquire);",
        "        let tail = ring.tail.0.load(Ordering::Relaxed);",
    ),
    (
        "thief of several tasks does not compete",
        "future-result",
        "src/cell/ring.rs",
        """            match from.head.0.compare_exchange(
                head,
                head + count,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {""",
        """            match Ok::<u64, u64>(from.head.0.swap(head + count, Ordering::AcqRel)) {""",
    ),
    (
        "thief reads the wrong slot",
        "future-result",
        "src/cell/ring.rs",
        """            let first = from.slot(head).load(Ordering::Relaxed);
            for""",
        """            let first = from.slot(head + 1).load(Ordering::Relaxed);
            for""",
    ),
    (
        "guard is dropped before the value is there",
        "future-result",
        "src/cell/claim.rs",
        """    // SAFETY: we are the runner, and the payload is empty.
    let outcome = unsafe { Runner::<T>::new(cell) }.finish(result, company);
    contain(|| drop(guard));
""",
        """    contain(|| drop(guard));
    // SAFETY: we are the runner, and the payload is empty.
    let outcome = unsafe { Runner::<T>::new(cell) }.finish(result, company);
""",
    ),
    (
        "failed claim takes what it has not won",
        "future-result",
        "src/cell/claim.rs",
        "if unsafe { claim_to_cancel(cell) } == CancelClaim::Won {",
        "if unsafe { claim_to_cancel(cell) } != CancelClaim::TooLate {",
    ),
    (
        "push wakes nobody",
        "thread-pool",
        "src/core.rs",
        """        if self.sleep.is_wanting() {
            self.wake_one();
        }
""",
        "",
    ),
    (
        "counting queued tasks wakes nobody",
        "thread-pool",
        "src/core.rs",
        """        if queued > 0 {
            self.wake_if_wanting();
        }
""",
        "",
    ),
    (
        "no fence before sleep",
        "thread-pool",
        "src/sleep.rs",
        """        fence(Ordering::SeqCst);
        // Without a place""",
        "        // Without a place",
    ),
    (
        "no check before sleep",
        "thread-pool",
        "src/sleep.rs",
        "if to_do(self.counts().active() < self.places) {",
        "if false && to_do(true) {",
    ),
    (
        "no fence after a find",
        "thread-pool",
        "src/sleep.rs",
        """        fence(Ordering::SeqCst);
        counts.searching() == 0 && counts.active() < self.places
""",
        """        counts.searching() == 0 && counts.active() < self.places
""",
    ),
    (
        "last searcher never checks for more",
        "thread-pool",
        "src/sleep.rs",
        """        fence(Ordering::SeqCst);
        counts.searching() == 0 && counts.active() < self.places
""",
        """        fence(Ordering::SeqCst);
        counts.searching() != 0 && counts.active() < self.places
""",
    ),
    (
        "worker leaves though it was woken",
        "thread-pool",
        "src/sleep.rs",
        """        if inner.remove(bed) {
            if !may_leave() {""",
        """        if inner.remove(bed) || true {
            if !may_leave() {""",
    ),
    (
        "starting thread lets another leave",
        "thread-pool",
        "src/sleep.rs",
        "if self.counts().live().saturating_sub(inner.starting) <= self.min {",
        "if self.counts().live() <= self.min {",
    ),
    (
        "thread that cannot be started wakes nobody",
        "thread-pool",
        "src/sleep.rs",
        """        let bed = inner.sleepers.pop();
        if let Some(bed) = &bed {""",
        """        let bed = inner.sleepers.pop().filter(|_| false);
        if let Some(bed) = &bed {""",
    ),
    (
        "close releases only one who waits for room",
        "thread-pool",
        "src/bound.rs",
        "let waiting = std::mem::take(&mut inner.waiting);",
        "let waiting = inner.waiting.pop_front();",
    ),
    (
        "returned permit wakes nobody",
        "thread-pool",
        "src/bound.rs",
        "while let Some(next) = inner.waiting.pop_front() {",
        "while let Some(next) = None::<Completer<()>> {",
    ),
    (
        "shutdown from a worker waits",
        "thread-pool",
        "src/shutdown.rs",
        "if PoolId::current() == Some(self.core.id) {",
        "if false {",
    ),
    (
        "sim: push wakes nobody",
        "thread-pool",
        "src/core.rs",
        """        if self.sleep.is_wanting() {
            self.wake_one();
        }
""",
        "",
    ),
    (
        "sim: woken flag stays set",
        "thread-pool",
        "src/sleep.rs",
        """        if inner.remove(bed) {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
        } else {
            // ORDERING: Acquire as in `sleep`; set under the lock by whoever took us off the list.
            bed.woken.swap(false, Ordering::Acquire);
        }""",
        """        if inner.remove(bed) {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
        }""",
    ),
    (
        "sim: worker that finds a task wakes nobody",
        "thread-pool",
        "src/worker.rs",
        """                    self.patience.has_paid(turn);
                    if core.sleep.stop_searching() && self.sees_work() {
""",
        """                    self.patience.has_paid(turn);
                    if core.sleep.stop_searching() && false {
""",
    ),
    (
        "sim: worker that moves a batch wakes nobody",
        "thread-pool",
        "src/worker.rs",
        "if self.core.sleep.is_wanting() && self.sees_work() {",
        "if false {",
    ),
    (
        "deadlock: a wait that is to give up is not woken",
        "future-result",
        "src/deadlock.rs",
        "                chosen.push(parked.waker.clone());\n",
        "",
    ),
    (
        "deadlock: a frame is released when one of its tasks is free",
        "future-result",
        "src/deadlock.rs",
        "                needs_all = true;\n",
        "",
    ),
    (
        "a worker runs what a cancelling shutdown missed",
        "thread-pool",
        "src/worker.rs",
        "task.run_unless(|| self.abandoned.refusal())",
        "task.run_unless(|| None)",
    ),
    (
        "sim: a waiter runs in place what a cancelling shutdown missed",
        "future-result",
        "src/cell/reader.rs",
        "start(self.cell, Company::Others, || refusal(pool))",
        "start(self.cell, Company::Others, || None)",
    ),
    (
        "sim: closing does not notice that the pool has ended",
        "thread-pool",
        "src/core.rs",
        "if self.sleep.close() {",
        "if self.sleep.close() && false {",
    ),
    (
        "sim: workers leave before the queue is empty",
        "thread-pool",
        "src/worker.rs",
        "if is_over() && !self.sees_work() && mailbox.close_if_empty() {",
        "if is_over() && mailbox.close_if_empty() {",
    ),
    (
        "sim: starting thread lets another leave",
        "thread-pool",
        "src/sleep.rs",
        "if self.counts().live().saturating_sub(inner.starting) <= self.min {",
        "if self.counts().live() <= self.min {",
    ),
    (
        "no worker stands in for a blocked one",
        "thread-pool",
        "src/blocking.rs",
        """            core.sleep.block();
            if self.sees_work() {
                core.wake_if_wanting();
            }
""",
        """            core.sleep.block();
""",
    ),
    (
        "no worker stands in once the pool is closed",
        "thread-pool",
        "src/sleep.rs",
        "let starts = !inner.closed || counts.live() > 0;",
        "let starts = !inner.closed;",
    ),
    (
        "broadcast wakes nobody",
        "thread-pool",
        "src/broadcast.rs",
        """        core.wake_all();
""",
        "",
    ),
    (
        "worker sleeps without checking its mailbox",
        "thread-pool",
        "src/worker.rs",
        "|has_place| is_over() || !mailbox.is_empty() || (has_place && self.sees_work());",
        "|has_place| is_over() || (has_place && self.sees_work());",
    ),
    (
        "worker leaves with mail",
        "thread-pool",
        "src/worker.rs",
        "if is_over() && !self.sees_work() && mailbox.close_if_empty() {",
        "if is_over() && !self.sees_work() {",
    ),
    (
        "a thief publishes nothing",
        "thread-pool",
        "src/join.rs",
        "if header.state.swap(state, Ordering::AcqRel)",
        "if header.state.swap(state, Ordering::Relaxed)",
    ),
    (
        "a scope's task publishes nothing",
        "thread-pool",
        "src/crowd.rs",
        "if self.0.present.fetch_sub(1, Ordering::AcqRel) == 1 {",
        "if self.0.present.fetch_sub(1, Ordering::Relaxed) == 1 {",
    ),
    (
        "a scope does not wait",
        "thread-pool",
        "src/crowd.rs",
        "        outlast(Arc::clone(self) as Arc<dyn Members>, is_empty)\n",
        "        let _ = is_empty;\n        Ok(())\n",
    ),
    (
        "pool: a scope whose blocker panics does not wait",
        "future-result",
        "src/outlast.rs",
        "while park_until(None, &mut waiting).is_err() {}",
        "",
    ),
    # The sleep protocol.
    (
        "blocked worker has no fence",
        "thread-pool",
        "src/sleep.rs",
        """        self.add(BLOCKED);
        // ORDERING: the fence of the proof above: there is one worker less for the work that is left.
        fence(Ordering::SeqCst);
""",
        """        self.add(BLOCKED);
""",
    ),
    (
        "leaving worker has no fence",
        "thread-pool",
        "src/sleep.rs",
        """        fence(Ordering::SeqCst);
        self.is_wanting()
""",
        """        self.is_wanting()
""",
    ),
    (
        "waking does not count the worker as searching",
        "thread-pool",
        "src/sleep.rs",
        """        if let Some(bed) = inner.sleepers.pop() {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
""",
        """        if let Some(bed) = inner.sleepers.pop() {
            self.add(SLEEPING.wrapping_neg());
""",
    ),
    (
        "sim: leaving worker does not look for work",
        "thread-pool",
        "src/worker.rs",
        "if core.sleep.leave() && self.sees_work() {",
        "if core.sleep.leave() && false {",
    ),
    (
        "sim: closing wakes nobody for what it moves",
        "thread-pool",
        "src/core.rs",
        """        if !self.injector.is_empty() || !self.lanes.are_empty() {
            self.wake_if_wanting();
        }
""",
        "",
    ),
    (
        "sim: surplus worker forgets its own tasks",
        "thread-pool",
        "src/worker.rs",
        "let mut found = mailbox.take().or_else(|| self.queues.pop());",
        "let mut found = mailbox.take();",
    ),
    (
        "sim: closed pool starts no thread",
        "thread-pool",
        "src/sleep.rs",
        "let starts = !inner.closed || counts.live() > 0;",
        "let starts = !inner.closed;",
    ),
    # The roster.
    (
        "sim: new worker is not seen",
        "thread-pool",
        "src/roster.rs",
        """        seats[index] = Some(Arc::clone(seat));
        self.changed();
""",
        """        seats[index] = Some(Arc::clone(seat));
""",
    ),
    (
        "sim: a worker's counts are lost when it leaves",
        "thread-pool",
        "src/roster.rs",
        """        if let Some(seat) = inner.seats[index].take() {
            inner.departed.add(&seat.tally);
        }
""",
        """        inner.seats[index].take();
""",
    ),
    (
        "sim: tombstones are not counted",
        "thread-pool",
        "src/worker.rs",
        """            if task.is_stale() {
                self.seat.tally.count(task.status());
            } else {""",
        """            if task.is_stale() {
                drop(task);
            } else {""",
    ),
    (
        "sim: task is counted twice",
        "thread-pool",
        "src/worker.rs",
        """        let status = task.run_unless(|| self.abandoned.refusal());
        self.seat.tally.count(status);
""",
        """        let status = task.run_unless(|| self.abandoned.refusal());
        self.seat.tally.count(status);
        self.seat.tally.count(status);
""",
    ),
    (
        "sim: worker leaves without its exit hook",
        "thread-pool",
        "src/worker.rs",
        """    contain(|| {
        if let Some(exit_hook)""",
        """    contain(|| {
        if local.index > 0
            && let Some(exit_hook)""",
    ),
    # Joins.
    (
        "offered job is not published",
        "thread-pool",
        "src/join/stack.rs",
        "slots.at(offered).swap(tagged, Ordering::AcqRel);",
        "slots.at(offered).swap(tagged, Ordering::Relaxed);",
    ),
    (
        "thief acquires nothing",
        "thread-pool",
        "src/join/stack.rs",
        """            let taken =
                slot.compare_exchange(tagged, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);""",
        """            let taken =
                slot.compare_exchange(tagged, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);""",
    ),
    (
        "stolen job is popped by its owner",
        "thread-pool",
        "src/join/stack.rs",
        """                .compare_exchange(tagged, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()""",
        """                .compare_exchange(tagged, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok_and(|_| true)
            || true""",
    ),
    (
        "thief wakes nobody",
        "thread-pool",
        "src/join.rs",
        """== AWAITED {
            bed.wake();""",
        """== AWAITED {
            drop(bed);""",
    ),
    (
        "join acquires nothing from its thief",
        "thread-pool",
        "src/join.rs",
        """        // ORDERING: Acquire pairs with the Release of `settle`: we see the result.
        match header.state.load(Ordering::Acquire) {""",
        """        match header.state.load(Ordering::Relaxed) {""",
    ),
    (
        "refused join tries again",
        "thread-pool",
        "src/join.rs",
        "None => (a(), b()),\n                })",
        "None => self.join(a, b),\n                })",
    ),
    (
        "sim: scope does not report failed tasks",
        "thread-pool",
        "src/scope.rs",
        "(Ok(_), Ok(())) if scope.crowd.has_failed() =>",
        "(Ok(_), Ok(())) if false =>",
    ),
    # Scopes.
    (
        "scope acquires nothing from tasks that left before the last",
        "thread-pool",
        "src/crowd.rs",
        "if self.present.fetch_sub(1, Ordering::AcqRel) == 1 {",
        "if self.present.fetch_sub(1, Ordering::Relaxed) == 1 {",
    ),
    (
        "scope acquires nothing from the last task to leave",
        "thread-pool",
        "src/crowd.rs",
        "if self.present.load(Ordering::Acquire) == 0 {",
        "if self.present.load(Ordering::Relaxed) == 0 {",
    ),
    (
        "last task to leave a scope wakes nobody",
        "thread-pool",
        "src/crowd.rs",
        """            if let Some(waker) = waker {
                waker.wake();
            }
""",
        """            drop(waker);
""",
    ),
    (
        "scope checks before it registers its waker",
        "thread-pool",
        "src/crowd.rs",
        """            let waker = context.waker().clone();
            let before = self.inner.lock().waker.replace(waker);
            // It may be a blocker's, of which nothing is certain.
            contain(|| drop(before));
            // ORDERING: Acquire pairs with the Release of the last to go. It takes the lock after
            // that: either it finds the waker, or we see the count.
            if self.present.load(Ordering::Acquire) == 0 {
""",
        """            let is_empty = self.present.load(Ordering::Acquire) == 0;
            let waker = context.waker().clone();
            let before = self.inner.lock().waker.replace(waker);
            contain(|| drop(before));
            if is_empty {
""",
    ),
    (
        "sim: scope ends before its tasks",
        "thread-pool",
        "src/crowd.rs",
        """        outlast(Arc::clone(self) as Arc<dyn Members>, is_empty)
""",
        """        let _ = is_empty;
        Ok(())
""",
    ),
    # Maps.
    (
        "two workers take the same share",
        "thread-pool",
        "src/block.rs",
        """            match self.cursor.compare_exchange_weak(
                start,
                start + share,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {""",
        """            match Ok::<u64, u64>(self.cursor.swap(start + share, Ordering::Relaxed)) {""",
    ),
    (
        "sim: two workers take the same share",
        "thread-pool",
        "src/block.rs",
        """            match self.cursor.compare_exchange_weak(
                start,
                start + share,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {""",
        """            match Ok::<u64, u64>(self.cursor.swap(start + share, Ordering::Relaxed)) {""",
    ),
    (
        "map does not wait for its helpers",
        "thread-pool",
        "src/block.rs",
        """            if let Err(payload) = crowd.wait_until_empty(core.id) {
                self.keep_first(payload);
            }
""",
        """            drop(crowd);
""",
    ),
    (
        "sim: results of a map are out of order",
        "thread-pool",
        "src/block.rs",
        "unsafe { results.write(at.index, result) };",
        "unsafe { results.write(self.len as usize - 1 - at.index, result) };",
    ),
    (
        "sim: items are dropped while they are mapped",
        "thread-pool",
        "src/block.rs",
        "let start = self.cursor.swap(self.len, Ordering::Relaxed);",
        "let start = self.cursor.load(Ordering::Relaxed);",
    ),
    (
        "worker without a state wakes nobody for its task",
        "thread-pool",
        "src/core.rs",
        """        self.not_started(1);
        self.sleep.wake_instead();""",
        "        self.not_started(1);",
    ),
    # Lanes.
    (
        "lanes are not seen to be in use",
        "thread-pool",
        "src/lanes.rs",
        "self.in_use.store(true, Ordering::Relaxed);",
        "let _ = &self.in_use;",
    ),
    (
        "worker sleeps without checking the lanes",
        "thread-pool",
        "src/worker.rs",
        "self.sees_normal() || !self.core.lanes.are_empty()",
        "self.sees_normal()",
    ),
    (
        "sim: lanes do not age",
        "thread-pool",
        "src/lanes.rs",
        "} else if has_low && self.low.get() >= PATIENCE {",
        "} else if false {",
    ),
    (
        "sim: urgent tasks are not preferred",
        "thread-pool",
        "src/lanes.rs",
        """        } else if has_high {
            Priority::High
        } else if has_normal {
            Priority::Normal
        } else if""",
        """        } else if has_normal {
            Priority::Normal
        } else if has_high {
            Priority::High
        } else if""",
    ),
    # The timer.
    (
        "timer is not woken for its end",
        "thread-pool",
        "src/timer.rs",
        """        drop(rest);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }""",
        "        drop((rest, sleeper));",
    ),
    (
        "sim: timer is not woken for an earlier deadline",
        "thread-pool",
        "src/timer.rs",
        "let sleeper = if is_earliest {",
        "let sleeper = if is_earliest && false {",
    ),
    (
        "sim: abandoned task has timed out",
        "thread-pool",
        "src/abandoned.rs",
        "_ => TaskError::Cancelled,",
        "_ => TaskError::TimedOut,",
    ),
    # The injector.
    (
        "backlog is not seen",
        "thread-pool",
        "src/injector.rs",
        "self.inbox.is_empty() && !self.has_backlog.load(Ordering::Relaxed)",
        "self.inbox.is_empty()",
    ),
    (
        "sim: newer tasks overtake the backlog",
        "thread-pool",
        "src/injector.rs",
        """        let mut newer = self.inbox.take_all();
        backlog.tasks.append(&mut newer);
        backlog.sweep();""",
        """        let mut newer = self.inbox.take_all();
        newer.append(&mut backlog.tasks);
        backlog.tasks = newer;
        backlog.sweep();""",
    ),
    (
        "sim: swept tombstones are not counted",
        "thread-pool",
        "src/core.rs",
        "        totals.add_tasks(&self.injector.swept());\n",
        "",
    ),
    (
        "a hook is never dropped",
        "future-result",
        "src/cell/hook.rs",
        "    contain(|| unsafe { place.drop_in_place() });",
        "    let _ = (place, contain as fn(fn()));",
    ),
    (
        "a scheduler sleeps with mail in its inbox",
        "green-tasks",
        "src/scheduler/inbox.rs",
        """        if !state.mail.is_empty() {
            return false;
        }
""",
        "",
    ),
    (
        "nobody wakes a scheduler",
        "green-tasks",
        "src/scheduler/inbox.rs",
        "            sleeper.wake();\n",
        "            drop(sleeper);\n",
    ),
    (
        "a wake-up is sent only once",
        "green-tasks",
        "src/scheduler/waker.rs",
        "self.is_sent.swap(false, Ordering::Acquire);",
        "let _ = Ordering::Acquire;",
    ),
    (
        "a wake-up already on its way publishes nothing",
        "green-tasks",
        "src/scheduler/waker.rs",
        "if !this.is_sent.swap(true, Ordering::Release) {",
        "if !this.is_sent.swap(true, Ordering::Relaxed) {",
    ),
    (
        "a task woken by another thread acquires nothing",
        "green-tasks",
        "src/scheduler/waker.rs",
        "self.is_sent.swap(false, Ordering::Acquire);",
        "self.is_sent.swap(false, Ordering::Relaxed);",
    ),
    (
        "a cancellation from another thread is lost",
        "green-tasks",
        "src/scheduler/waker.rs",
        "Mail::Cancel(key) => self.cancel_key(key),",
        "Mail::Cancel(_) => {}",
    ),
    (
        "nobody is woken for an unstarted task",
        "green-tasks",
        "src/scheduler/crew.rs",
        "        state.unstarted.push_back(parcel);\n        let roused = state.rouse();",
        "        state.unstarted.push_back(parcel);\n        let roused = None;",
    ),
    (
        "a scheduler sleeps with unstarted tasks in the queue",
        "green-tasks",
        "src/scheduler/crew.rs",
        """        if let Some(parcel) = state.unstarted.pop_front() {
            return Some(parcel);
        }
""",
        "",
    ),
    (
        "the end of the run is not announced",
        "green-tasks",
        "src/scheduler/crew.rs",
        "                inbox.send(Mail::Close);",
        "                let _ = inbox;",
    ),
    (
        "unstarted tasks are left over at the end of the run",
        "green-tasks",
        "src/scheduler/drive.rs",
        """            for parcel in post.crew.close(post.place) {
                self.adopt(parcel);
            }
""",
        "            std::mem::forget(post.crew.close(post.place));\n",
    ),
    (
        "mail does not rule out a deadlock",
        "green-tasks",
        "src/scheduler/crew.rs",
        "            && self.inboxes.iter().all(|inbox| inbox.is_empty());",
        "            && self.inboxes.iter().all(|inbox| inbox.is_empty() || true);",
    ),
    (
        "the last scheduler to sleep does not look for a deadlock",
        "green-tasks",
        "src/scheduler/crew.rs",
        """        self.begin_inquest(&mut state);
        None
""",
        "        None\n",
    ),
    (
        "the last scheduler to leave does not look for a deadlock",
        "green-tasks",
        "src/scheduler/crew.rs",
        """        self.hear(&mut state, place, None);
        self.begin_inquest(&mut state);
""",
        "        self.hear(&mut state, place, None);\n",
    ),
    (
        "green: nobody finds a task that another thread has taken",
        "green-tasks",
        "src/scheduler/parcel.rs",
        "        place.settle(&self.inbox, key);\n",
        "        let _ = (&place, Place::settle);\n",
    ),
    (
        "a scheduler that searches never stops searching",
        "green-tasks",
        "src/scheduler/crew.rs",
        "        state.searching -= 1;\n",
        "",
    ),
    (
        "green: a busy scheduler starts no unstarted tasks",
        "green-tasks",
        "src/scheduler/idle.rs",
        "                .share(post.place, self.queue.len(), self.timers.seen())\n",
        "                .share(post.place, self.queue.len(), self.timers.seen())\n                .into_iter()\n                .take(0)\n",
    ),
    (
        "a busy scheduler takes a task that a searching one is coming for",
        "green-tasks",
        "src/scheduler/crew.rs",
        "        self.searching > 0\n            || others.any(",
        "        others.any(",
    ),
    (
        "a scheduler with more to do takes as much as one with less",
        "green-tasks",
        "src/scheduler/crew.rs",
        "            load.due < due && ",
        "            load.due > due + 99 && ",
    ),
    (
        "an outdated load still counts",
        "green-tasks",
        "src/scheduler/crew.rs",
        "saturating_duration_since(at) < STALE;",
        "saturating_duration_since(at) < STALE * 2;",
    ),
    (
        "green: nested blocking calls run on the same threads",
        "green-tasks",
        "src/offload.rs",
        "    set_level(level + 1);",
        "    set_level(level);",
    ),
    (
        "green: a run's threads within a blocking call do not know its level",
        "green-tasks",
        "src/threads.rs",
        "                offload::set_level(level);",
        "                let _ = level;",
    ),
    (
        "green: an event tells of room for a datagram",
        "green-tasks",
        "src/net/io.rs",
        "            tells_room: false,",
        "            tells_room: true,",
    ),
    (
        "green: failed accepts return at once",
        "green-tasks",
        "src/net/io.rs",
        "            sleep(SHORTAGE_PAUSE);",
        "            let _ = SHORTAGE_PAUSE;",
    ),
    (
        "green: cancelling is a panic",
        "green-tasks",
        "src/scheduler/interrupt.rs",
        "            resume_unwind(Box::new(unwind))",
        "            std::panic::panic_any(unwind)",
    ),
    (
        "green: a waker is dropped while the wheel is borrowed",
        "green-tasks",
        "src/time.rs",
        "        self.wheel.borrow_mut().remove(key)\n",
        "        let mut wheel = self.wheel.borrow_mut();\n        drop(wheel.remove(key));\n        None\n",
    ),
    (
        "green: a closure that never starts is dropped while the current task is borrowed",
        "green-tasks",
        "src/scheduler/drive.rs",
        "                self.as_current(&task, || job.refuse(error));",
        "                self.as_current(&task, || {\n                    let _held = self.current.borrow_mut();\n                    job.refuse(error)\n                });",
    ),
    (
        "green: a socket stays with the reactor that registered it first",
        "green-tasks",
        "src/reactor.rs",
        "        if !Arc::ptr_eq(&registration.shared, &self.shared) {\n            return None;\n        }\n",
        "",
    ),
    (
        "green: the key of a closed socket is never free",
        "green-tasks",
        "src/reactor.rs",
        "        self.shared.gone.lock().push(self.key);\n",
        "",
    ),
    (
        "green: an event while a polled socket's waker is cloned is missed",
        "green-tasks",
        "src/net/io.rs",
        "        if reactor.looks() != looks {\n",
        "        if false {\n",
    ),
    (
        "green: the first waker of a polled socket stays",
        "green-tasks",
        "src/reactor.rs",
        "side.waker.borrow().as_ref().is_some_and(is_there)",
        "side.waker.borrow().as_ref().map(is_there).is_some()",
    ),
    (
        "green: a waiter for a polled socket does not rule out a deadlock",
        "green-tasks",
        "src/scheduler/idle.rs",
        "self.elsewhere.get() > 0 || is_armed",
        "self.elsewhere.get() > 0",
    ),
    (
        "green: the waker of a closed polled socket rules out a deadlock",
        "green-tasks",
        "src/scheduler/idle.rs",
        "        self.drop_wakers();\n",
        "",
    ),
    (
        "green: a polled socket that is always ready never ends a turn",
        "green-tasks",
        "src/net/io.rs",
        "if !scheduler.may_use_io() {",
        "if false {",
    ),
    (
        "green: a polled socket's waker is woken by every event",
        "green-tasks",
        "src/reactor.rs",
        "            contain(|| waker.wake());\n",
        "            self.arm(side, &waker);\n            contain(|| waker.wake());\n",
    ),
    (
        "green: sockets that are only polled are not watched",
        "green-tasks",
        "src/reactor.rs",
        "self.waiting.get() + self.armed.get() > 0",
        "self.waiting.get() > 0",
    ),
    (
        "green: a wake-up within a poll is lost",
        "green-tasks",
        "src/scheduler/task.rs",
        "            self.owed.set(true);",
        "            self.owed.set(false);",
    ),
    (
        "green: a wake-up while others run within a poll is lost",
        "green-tasks",
        "src/scheduler/drive.rs",
        "        task.note_owed();\n",
        "",
    ),
    (
        "green: a computing task receives no mail",
        "green-tasks",
        "src/scheduler/interrupt.rs",
        "            self.read_mail();\n",
        "",
    ),
    (
        "green: a computing task misses its time limit",
        "green-tasks",
        "src/scheduler/interrupt.rs",
        "                self.ring();\n",
        "",
    ),
    (
        "green: a key also fits the next task in its slot",
        "green-tasks",
        "src/scheduler/table.rs",
        "task.filter(|task| task.key == key).cloned()",
        "task.filter(|task| task.key.generation >= key.generation).cloned()",
    ),
    (
        "green: a task is unwound while it may be unwinding already",
        "green-tasks",
        "src/scheduler/drive.rs",
        "    if may_unwind {\n        task.raise();",
        "    if false {\n        task.raise();",
    ),
    (
        "green: a cancellation that had to wait for a quiet thread is lost",
        "green-tasks",
        "src/scheduler/drive.rs",
        "            if task.is_wanted() {\n                self.wake(&task);",
        "            if task.is_wanted() {\n                drop(task);",
    ),
    (
        "green: the end of a scope does not hold back cancellation",
        "green-tasks",
        "src/scope.rs",
        "        let _hold = task.interrupts().hold();",
        "        let _hold = ();",
    ),
    (
        "green: a scope does not cancel its tasks when its own task is cancelled",
        "green-tasks",
        "src/scope.rs",
        "if is_ending || task.wants_out() {",
        "if is_ending {",
    ),
    (
        "green: a grant is lost with its task",
        "green-tasks",
        "src/sync/queue.rs",
        "            (self.pass_on)();",
        "            let _ = &self.pass_on;",
    ),
    (
        "green: a task that gives up stays in the queue",
        "green-tasks",
        "src/sync/queue.rs",
        "            self.queue.leave(self.ticket);",
        "            let _ = WaitQueue::leave;",
    ),
    (
        "green: a notification is lost with the task that waits for it",
        "green-tasks",
        "src/sync/condvar.rs",
        """.wait(&"waits for a condition", at, || self.notify_one());""",
        """.wait(&"waits for a condition", at, || ());""",
    ),
    (
        "green: a notification is lost with the task that waits for the lock",
        "green-tasks",
        "src/sync/condvar.rs",
        "        let unused = Unused(self);\n        let guard = mutex.lock();",
        "        let guard = mutex.lock();\n        let unused = Unused(self);",
    ),
    (
        "green: a nested wait takes the grant of the interrupted one",
        "green-tasks",
        "src/sync/queue.rs",
        "self.task.granted.replace(self.interrupted)",
        "self.task.granted.take()",
    ),
    (
        "green: a monitor asks only one thread",
        "green-tasks",
        "src/dump.rs",
        "Some(crew) => Monitored::All(Arc::clone(crew)),",
        "Some(_) => Monitored::One(Arc::clone(scheduler.inbox())),",
    ),
    (
        "green: pinning does not forbid suspending",
        "green-tasks",
        "src/scheduler/interrupt.rs",
        "rare.interrupts.pins.get() > 0",
        "rare.interrupts.pins.get() > u32::MAX / 2",
    ),
    (
        "green: a shield does not shield",
        "green-tasks",
        "src/scheduler/interrupt.rs",
        "            Some(_) => !is_shielded,",
        "            Some(_) => true,",
    ),
    (
        "green: the owner of a handle is never asked for",
        "green-tasks",
        "src/scheduler/idle.rs",
        "task.rest_ends() != Some(Ends::Ask) || ",
        "task.rest_ends() == Some(Ends::Ask) || ",
    ),
    (
        "green: any handle counts as our own",
        "green-tasks",
        "src/scheduler/idle.rs",
        "one.home() == Some(self.id)",
        "one.home() == Some(self.id) || one.home().is_none()",
    ),
    (
        "green: a task that always finds something to read keeps its turn",
        "green-tasks",
        "src/scheduler.rs",
        "const IO_BUDGET: u32 = 64;",
        "const IO_BUDGET: u32 = 1 << 30;",
    ),
    (
        "process: starting a task publishes nothing of the one before",
        "process-pool",
        "src/claims.rs",
        """            Ordering::Release,
            Ordering::Relaxed,
        );""",
        """            Ordering::Relaxed,
            Ordering::Relaxed,
        );""",
    ),
    (
        "process: taking tasks back acquires nothing of ended ones",
        "process-pool",
        "src/claims.rs",
        "let mut next = self.next.load(Ordering::Acquire);",
        "let mut next = self.next.load(Ordering::Relaxed);",
    ),
    (
        "process: tasks are taken back without checking what has started",
        "process-pool",
        "src/claims.rs",
        "                Err(seen) => next = seen,",
        "                Err(_) => return next,",
    ),
    (
        "process: a claim takes a task that was taken back",
        "process-pool",
        "src/claims.rs",
        "        claimed.is_ok()",
        "        claimed.is_ok() || self.next.load(Ordering::Relaxed) == sequence + 2",
    ),
    (
        "process sim: a task is retried at once",
        "process-pool",
        "src/state/workers.rs",
        "let Some(at) = pause.and_then(|pause| now().checked_add(pause)) else {",
        "let Some(at) = pause.map(|_| now()) else {",
    ),
    (
        "process sim: a retry does not count",
        "process-pool",
        "src/job.rs",
        "        self.terms.retries.left = self.terms.retries.left.checked_sub(1)?;\n",
        "        self.terms.retries.left.checked_sub(1)?;\n",
    ),
    (
        "process sim: a death reports only the first attempt",
        "process-pool",
        "src/state/workers.rs",
        "            let attempts = job.count_death();",
        "            let attempts = job.count_death().min(1);",
    ),
    (
        "process: one canceller hides another",
        "process-pool",
        "src/notifier.rs",
        "self.cancels.swap(true, Ordering::Release);",
        "self.cancels.store(true, Ordering::Release);",
    ),
    (
        "process: cancelling publishes nothing",
        "process-pool",
        "src/notifier.rs",
        "self.cancels.swap(true, Ordering::Release);",
        "self.cancels.swap(true, Ordering::Relaxed);",
    ),
    (
        "process: looking for cancelled tasks acquires nothing",
        "process-pool",
        "src/notifier.rs",
        "self.cancels.swap(false, Ordering::Acquire)",
        "self.cancels.swap(false, Ordering::Relaxed)",
    ),
    (
        "process: the bell rings before the flag is set",
        "process-pool",
        "src/notifier.rs",
        "        self.cancels.swap(true, Ordering::Release);\n        self.notify();",
        "        self.notify();\n        self.cancels.swap(true, Ordering::Release);",
    ),
    (
        "process sim: a requeued task is forgotten",
        "process-pool",
        "src/state/workers.rs",
        "                self.requeued.push_front(job);\n            }\n        }\n        let is_killed",
        "                drop(job);\n            }\n        }\n        let is_killed",
    ),
    (
        "process sim: started tasks of a dead worker run again",
        "process-pool",
        "src/state/workers.rs",
        "worker.lane.dissolve(unstarted)",
        "worker.lane.dissolve(0)",
    ),
    (
        "process sim: unstarted tasks of a dead worker fail, too",
        "process-pool",
        "src/state/workers.rs",
        "worker.lane.dissolve(unstarted)",
        "worker.lane.dissolve(u64::MAX)",
    ),
    (
        "process sim: a condemned worker stays in the idle list",
        "process-pool",
        "src/state/workers.rs",
        "                worker.condemned = Some(Condemned { why, unstarted });\n                self.idle.retain(|&idle| idle != id);",
        "                worker.condemned = Some(Condemned { why, unstarted });",
    ),
    (
        "process sim: a condemned worker keeps its unstarted tasks",
        "process-pool",
        "src/state/workers.rs",
        "                let unstarted = worker.process.take_back(worker.lane.next());\n                worker.condemned",
        "                let unstarted = worker.lane.next();\n                worker.condemned",
    ),
    (
        "process sim: a dead worker still counts",
        "process-pool",
        "src/state/workers.rs",
        "        if worker.stage != Stage::Leaving {\n            self.active -= 1;\n        }",
        "        if worker.stage == Stage::Starting {\n            self.active -= 1;\n        }",
    ),
    (
        "process sim: a worker that dies while starting still counts as starting",
        "process-pool",
        "src/state/workers.rs",
        "        if worker.stage == Stage::Starting {\n            self.starting -= 1;\n        }\n        if worker.is_blocked",
        "        if worker.is_blocked",
    ),
    (
        "process sim: a failed start never ends",
        "process-pool",
        "src/state/workers.rs",
        "    pub(crate) fn not_added(&mut self, ended: &mut Ended) {\n        self.is_spawning = false;",
        "    pub(crate) fn not_added(&mut self, ended: &mut Ended) {",
    ),
    (
        "process sim: no pause after a failed start",
        "process-pool",
        "src/state/workers.rs",
        "        self.retry_at = now().checked_add(pause);",
        "        self.retry_at = now().checked_sub(pause);",
    ),
    (
        "process sim: the dispatcher does not wake up after a pause",
        "process-pool",
        "src/state.rs",
        "                    next = Some(next.map_or(at, |next| next.min(at)));",
        "                    let _ = at;",
    ),
    (
        "process sim: deadlines are checked before tasks are dispatched",
        "process-pool",
        "src/state.rs",
        "        self.dispatch(poller, ended);\n        // Only now: tasks that were just given out have deadlines, too.\n        let mut next = self.next_deadline();",
        "        let mut next = self.next_deadline();\n        self.dispatch(poller, ended);",
    ),
    (
        "process sim: a time limit set by a submitter is not noticed",
        "process-pool",
        "src/state.rs",
        "self.is_overslept |= worker.deadline",
        "self.is_overslept &= worker.deadline",
    ),
    (
        "process sim: tasks wait as long with an idle worker as with busy ones",
        "process-pool",
        "src/state/stall.rs",
        "        if !self.idle.is_empty() {\n            IDLE_STALL",
        "        if false {\n            IDLE_STALL",
    ),
    (
        "process sim: the dispatcher does not wake up to move a waiting task to an idle worker",
        "process-pool",
        "src/state/stall.rs",
        "        if self.idle.is_empty() && self.active >= self.limits.workers {",
        "        if self.active >= self.limits.workers {",
    ),
    (
        "process sim: the dispatcher does not wake up to start a worker for a waiting task",
        "process-pool",
        "src/state/stall.rs",
        "        if self.idle.is_empty() && self.active >= self.limits.workers {",
        "        if self.idle.is_empty() {",
    ),
    (
        "process sim: a task that has waited too long is not taken back",
        "process-pool",
        "src/state/stall.rs",
        "            self.recall(poller, id);\n            if let",
        "            let _ = poller;\n            if let",
    ),
    (
        "process sim: an idle worker gets nothing where several others have waiting tasks",
        "process-pool",
        "src/state/stall.rs",
        "            stuck.truncate(self.idle.len());",
        "            stuck.truncate(0);",
    ),
    (
        "process sim: a killed pool runs what was queued",
        "process-pool",
        "src/state/stop.rs",
        "        self.is_killed = true;\n        self.cancel_queued(poller, ended);",
        "        self.is_killed = true;",
    ),
    (
        "process sim: a silent worker may live on",
        "process-pool",
        "src/state/workers.rs",
        "            worker.deadline = now().checked_add(EXIT_GRACE);",
        "            worker.deadline = None;",
    ),
    (
        "process sim: a worker that does not leave may live on",
        "process-pool",
        "src/state/workers.rs",
        "            worker.deadline = now().checked_add(GRACE);",
        "            worker.deadline = None;",
    ),
    (
        "process sim: a blocked pipe is not watched",
        "process-pool",
        "src/state/worker.rs",
        "                            self.process.watch_room(poller, id)?;\n                            self.is_blocked = true;",
        "                            let _ = P::watch_room;",
    ),
    (
        "process sim: a pipe is watched forever",
        "process-pool",
        "src/state/worker.rs",
        "                    self.process.unwatch_room(poller);",
        "                    let _ = P::unwatch_room;",
    ),
    (
        "process sim: the rest of a partly sent message is dropped",
        "process-pool",
        "src/lane.rs",
        "                self.control.extend_from_slice(rest);\n                self.offset = 0;",
        "                let _ = rest;\n                self.offset = 0;",
    ),
    (
        "process sim: an answer for any task is accepted",
        "process-pool",
        "src/lane.rs",
        "        if *number != sequence || self.written == 0 {",
        "        if self.written == 0 {",
    ),
    (
        "process sim: an answered task still counts as written",
        "process-pool",
        "src/lane.rs",
        "        self.written -= 1;\n        self.tasks.pop_front()",
        "        self.tasks.pop_front()",
    ),
    (
        "process sim: a cancelled running task is not stopped",
        "process-pool",
        "src/state/stop.rs",
        "                self.condemn(id, Why::Cancelled);\n            }\n        }\n        let all",
        "                let _ = Why::Cancelled;\n            }\n        }\n        let all",
    ),
    (
        "process sim: the time limit of an ended task stops the next one",
        "process-pool",
        "src/state/stop.rs",
        "Some(sequence) if sequence < worker.process.done() => {",
        "Some(sequence) if sequence > worker.process.done() => {",
    ),
    (
        "process sim: a full worker is given tasks",
        "process-pool",
        "src/state.rs",
        "        if worker.process.is_full() {\n            // Others run",
        "        if worker.process.is_full() && worker.given == 0 {\n            // Others run",
    ),
    (
        "process sim: a full worker becomes idle",
        "process-pool",
        "src/state.rs",
        "limit.is_none_or(|limit| worker.given < limit) && !worker.process.is_full()",
        "limit.is_none_or(|limit| worker.given < limit)",
    ),
    (
        "process sim: workers below the minimum leave",
        "process-pool",
        "src/state/workers.rs",
        "        if self.active <= self.limits.min_workers {",
        "        if self.active == 0 {",
    ),
    (
        "process sim: the dispatcher sleeps through the pause before a retry",
        "process-pool",
        "src/state.rs",
        "let all = deadlines.chain(stalls).chain(delayed);",
        "let all = deadlines.chain(stalls).chain(delayed.filter(|_| false));",
    ),
    (
        "process sim: a pool ends while tasks wait for a retry",
        "process-pool",
        "src/state.rs",
        "        self.queued() == 0 && self.delayed.is_empty()",
        "        self.queued() == 0",
    ),
    (
        "process sim: a condemned worker's tasks are not cancelled with the rest",
        "process-pool",
        "src/state/workers.rs",
        "if job.is_cancelled() || self.is_final {",
        "if job.is_cancelled() || self.is_killed {",
    ),
    (
        "process sim: tasks that wait for a retry are not cancelled",
        "process-pool",
        "src/state/stop.rs",
        "        for (at, job) in all {\n            if job.is_cancelled() {",
        "        for (at, job) in all {\n            if job.is_cancelled() && self.is_final {",
    ),
    (
        "process sim: tasks are retried after all were cancelled",
        "process-pool",
        "src/state/stop.rs",
        "        self.is_final = true;",
        "        self.is_final = false;",
    ),
    (
        "process sim: two workers have the same index",
        "process-pool",
        "src/state/workers.rs",
        "            staying.all(|it| it.index != *index)",
        "            staying.all(|it| it.index != *index || it.stage == Stage::Starting)",
    ),
    (
        "process sim: a closed pool keeps its idle workers",
        "process-pool",
        "src/state.rs",
        "        if self.closed.is_some() && self.is_drained() {\n            self.dismiss(poller);",
        "        if self.closed.is_none() && self.is_drained() {\n            self.dismiss(poller);",
    ),
    (
        "process: a value's memory is reused before it was read",
        "process-pool",
        "src/claims.rs",
        "        self.read.store(next, Ordering::Release);",
        "        self.read.store(next, Ordering::Relaxed);",
    ),
    (
        "process: a worker that reuses memory acquires nothing",
        "process-pool",
        "src/claims.rs",
        "        self.read.load(Ordering::Acquire)",
        "        self.read.load(Ordering::Relaxed)",
    ),
    (
        "process: nobody rings",
        "process-pool",
        "src/claims.rs",
        "        self.bell.fetch_add(1, Ordering::Relaxed);",
        "        self.bell.load(Ordering::Relaxed);",
    ),
    (
        "process sim: a value counts as read too early",
        "process-pool",
        "src/dispatcher.rs",
        "            let source = is_stored.then(|| core.system.values(&self.results));",
        "            core.system.has_read(&self.results, header.sequence);\n            let source = is_stored.then(|| core.system.values(&self.results));",
    ),
    (
        "process sim: the value after one that was read counts as read",
        "process-pool",
        "src/claims.rs",
        "        let next = sequence.wrapping_add(1);\n        // ORDERING: Release",
        "        let next = sequence.wrapping_add(2);\n        // ORDERING: Release",
    ),
    (
        "process sim: a worker frees all kept values once the first was read",
        "process-pool",
        "src/unread.rs",
        "is_some_and(|it| it.0 < read)",
        "is_some_and(|_| read > 0)",
    ),
    (
        "process sim: memory in use is freed, too",
        "process-pool",
        "src/store.rs",
        "            from = at + length;\n        }\n    }\n}\n\nimpl Blocks",
        "            from = at;\n        }\n    }\n}\n\nimpl Blocks",
    ),
    (
        "process sim: parts overlap",
        "process-pool",
        "src/store.rs",
        "            from = at + used;",
        "            from = at + used.min(1);",
    ),
    (
        "process sim: a task's parts are freed when a worker gets it",
        "process-pool",
        "src/job.rs",
        "frame::seal(&mut self.frame, TASK | stored, sequence).is_ok()",
        "let is_ok = frame::seal(&mut self.frame, TASK | stored, sequence).is_ok();\n        self.parts.truncate(0);\n        is_ok",
    ),
    (
        "process sim: each worker that died because of another counts as a failed start",
        "process-pool",
        "src/state/workers.rs",
        "was_wanted && !is_killed && !is_blameless {",
        "was_wanted && !is_killed {",
    ),
    (
        "process sim: only one read is done of what a dead worker wrote",
        "process-pool",
        "src/dispatcher.rs",
        "Ok(()) if flow == Flow::Last && !is_dead => return,",
        "Ok(()) if flow == Flow::Last => return,",
    ),
    (
        "process sim: what a dead worker wrote is not read",
        "process-pool",
        "src/dispatcher.rs",
        "                self.receive(id, LAST_READS, true);\n                self.bury(id);",
        "                self.bury(id);",
    ),
    (
        "process sim: a pool that ends keeps its spare worker",
        "process-pool",
        "src/state/workers.rs",
        "let may_be = self.closed.is_none() && !self.is_at_rest",
        "let may_be = !self.is_at_rest",
    ),
    (
        "process sim: the spare worker is not put away when asked",
        "process-pool",
        "src/spare.rs",
        "        kept.is_doomed = true;\n        Some(&kept.it)",
        "        kept.is_doomed = true;\n        None",
    ),
    (
        "process sim: a killed spare worker is handed out",
        "process-pool",
        "src/spare.rs",
        "        Some(if is_doomed {",
        "        Some(if is_doomed && false {",
    ),
    (
        "process sim: the death of a spare worker is overlooked",
        "process-pool",
        "src/spare.rs",
        "        events.retain(|&Event(token)| token != end);\n        if events.len() == before {",
        "        events.retain(|&Event(token)| token != end);\n        if events.len() <= before {",
    ),
    (
        "process sim: spare workers that die are replaced without end",
        "process-pool",
        "src/spare.rs",
        "        self.losses += u32::from(!is_doomed);",
        "        self.losses += u32::from(is_doomed);",
    ),
    (
        "process sim: a spare worker that cannot be made is retried without end",
        "process-pool",
        "src/spare.rs",
        "        self.losses += u32::from(made.is_none());",
        "        let _ = made.is_none();",
    ),
    (
        "process sim: the last dead workers are not cleared away",
        "process-pool",
        "src/dispatcher.rs",
        "        self.clear_away();\n        self.core.system.end();",
        "        self.core.system.end();",
    ),
    (
        "bridge: a waiting future is not registered",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "        shard.wakers.insert(cell, waker);\n        Ok(())",
        "        drop(shard);\n        drop(waker);\n        let _ = cell;\n        Ok(())",
    ),
    (
        "bridge: the end does not keep others from registering",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "        if shard.has_ended {\n            drop(shard);\n            drop(waker);",
        "        if false {\n            drop(shard);\n            drop(waker);",
    ),
    (
        "bridge: the end does not wake waiting futures",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "                contain(|| waker.wake());",
        "                contain(|| drop(waker));",
    ),
    (
        "bridge: the end takes the wakers before it stops registration",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "                let mut shard = shard.lock();\n                shard.has_ended = true;\n                (\n                    std::mem::take(&mut shard.wakers),",
        "                let early = std::mem::take(&mut shard.lock().wakers);\n                let mut shard = shard.lock();\n                shard.has_ended = true;\n                (\n                    early,",
    ),
    (
        "bridge: a task that is kept after the end is never dropped",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "        let mut shard = self.shards[0].lock();\n        if shard.has_ended {",
        "        let mut shard = self.shards[0].lock();\n        if false {",
    ),
    (
        "bridge: the end does not drop kept tasks",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "            for task in kept {\n                contain(|| drop(task));",
        "            for task in kept {\n                std::mem::forget(task);",
    ),
    (
        "bridge: cancelling wakes nobody",
        "futures-lite-bridge",
        "src/spawn/waiting.rs",
        "        if let Some(waker) = waker {\n            waker.wake();\n        }",
        "        drop(waker);",
    ),
    (
        "bridge: a job that goes on does not wake the reader",
        "futures-lite-bridge",
        "src/unblock/ahead.rs",
        "        let waker = inner.waker.take();\n        drop(inner);\n        if let Some(waker) = waker {\n            waker.wake();\n        }",
        "        let waker = inner.waker.take();\n        drop(inner);\n        drop(waker);",
    ),
    (
        "bridge: a reader registers its waker after the check",
        "futures-lite-bridge",
        "src/unblock/ahead.rs",
        "            None => inner.waker.replace(waker),",
        "            None => {\n                drop(inner);\n                inner = self.0.lock();\n                inner.waker.replace(waker)\n            }",
    ),
    (
        "bridge: a job reads on without room",
        "futures-lite-bridge",
        "src/unblock/ahead.rs",
        "        if inner.chunks.len() + 1 >= AHEAD {",
        "        if inner.chunks.len() >= AHEAD {",
    ),
    (
        "bridge: a job reads on when its turn is over",
        "futures-lite-bridge",
        "src/unblock/ahead.rs",
        "                if !is_over() {",
        "                if !is_over() || true {",
    ),
    (
        "bridge: a job that goes on does not wake the stream",
        "futures-lite-bridge",
        "src/unblock/items.rs",
        "            if let Some(waker) = waker {\n                waker.wake();\n            }",
        "            drop(waker);",
    ),
    (
        "bridge: a stream registers its waker after the check",
        "futures-lite-bridge",
        "src/unblock/items.rs",
        "            inner.waker.replace(waker)\n        } else {",
        "            drop(inner);\n            inner = self.0.lock();\n            inner.waker.replace(waker)\n        } else {",
    ),
    (
        "bridge: a job does not count the items that the stream took",
        "futures-lite-bridge",
        "src/unblock/items.rs",
        "            let is_full = inner.items.len() + inner.taken >= capacity;",
        "            let is_full = inner.items.len() >= capacity;",
    ),
    (
        "bridge: a job advances the iterator when its turn is over",
        "futures-lite-bridge",
        "src/unblock/items.rs",
        "            if is_over(was_awaited) || is_full {",
        "            if is_over(was_awaited) && is_full {",
    ),
    (
        "bridge: a job gives the writer back after its last check",
        "futures-lite-bridge",
        "src/unblock/gathered.rs",
        "        if next.is_none() {\n            inner.spare = std::mem::take(bytes);\n            inner.writer = writer.take();\n        }\n        drop(inner);",
        "        drop(inner);\n        if next.is_none() {\n            let mut inner = self.0.lock();\n            inner.spare = std::mem::take(bytes);\n            inner.writer = writer.take();\n        }",
    ),
    (
        "bridge: a writer that waits for room is not woken",
        "futures-lite-bridge",
        "src/unblock/gathered.rs",
        "            (Some((_, event)), Some(Step::Write)) => *event == Event::Room,\n            (Some(_), None) => true,",
        "            (Some((_, event)), None) => *event == Event::End,",
    ),
    (
        "bridge: a job flushes before everything is written",
        "futures-lite-bridge",
        "src/unblock/gathered.rs",
        "        if self.bytes.is_empty() {\n            self.wants_flush.then_some(Step::Flush)",
        "        if self.bytes.is_empty() || self.wants_flush {\n            self.wants_flush.then_some(Step::Flush)",
    ),
    (
        "bridge: a flush requested while a job writes is forgotten",
        "futures-lite-bridge",
        "src/unblock/gathered.rs",
        "            (Ok(()), Step::Write) => inner.go_on(bytes, is_over),",
        "            (Ok(()), Step::Write) => {\n                inner.wants_flush = false;\n                inner.is_dirty = false;\n                inner.go_on(bytes, is_over)\n            }",
    ),
    (
        "the writer of a task that was passed on counts as not started",
        "future-result",
        "src/cell/writer.rs",
        "            started: true,",
        "            started: false,",
    ),
]


def read(mutant, root):
    """The text of the mutant's file, and the reason if it cannot be broken there."""
    _, crate, file, old, _ = mutant
    try:
        with open(os.path.join(root, crate, file)) as source:
            text = source.read()
    except FileNotFoundError:
        return "", f"stale: there is no {crate}/{file}"
    if text.count(old) != 1:
        return text, f"stale: its text occurs {text.count(old)} times in {crate}/{file}"
    return text, None


def check():
    """Prints the mutants that test nothing, and returns their number."""
    stale = 0
    for mutant in MUTANTS:
        _, problem = read(mutant, ROOT)
        if problem:
            print(f"{problem}: {mutant[0]}")
            stale += 1
    return stale


def copy(crate, to):
    shutil.rmtree(os.path.join(to, crate), ignore_errors=True)
    # Fresh times, so that cargo notices when a mutant is undone.
    shutil.copytree(os.path.join(ROOT, crate), os.path.join(to, crate), copy_function=shutil.copyfile)


def survives(mutant, work):
    """What is wrong if the mutant is not caught, and otherwise what caught it."""
    name, crate, file, old, new = mutant
    for lib in LIBS:
        copy(lib, work)
    text, problem = read(mutant, work)
    if problem:
        return problem, None
    with open(os.path.join(work, crate, file), "w") as source:
        source.write(text.replace(old, new))
    tested = "thread-pool" if name.startswith(("sim:", "pool:")) else crate
    tests, checker = ["--lib", "--test", "loom*"], "pool_loom"
    if name.startswith("sim:"):
        tests, checker = ["--test", "sim"], "pool_sim"
    if crate == "process-pool":
        tests = ["--lib", "model::"]
    if crate == "futures-lite-bridge":
        tests = ["--lib", "model::"]
    if name.startswith("process sim:"):
        tests, checker = ["--lib", "sim::"], "pool_sim"
    if name.startswith("green:"):
        # The real thing: a cfg that means nothing.
        tests, checker = ["--lib", "--test", "suite", "--test", "descriptors"], "pool_real"
    command = ["cargo", "test", "--quiet", "--release", "-p", tested, *tests]
    environment = dict(os.environ, RUSTFLAGS=f"--cfg {checker}", RUST_BACKTRACE="0")
    # As in ./check.sh.
    environment.setdefault("LOOM_MAX_PREEMPTIONS", "3" if crate in ("future-result", "futures-lite-bridge") else "2")
    environment.setdefault("LOOM_MAX_BRANCHES", "10000")
    environment["CARGO_TARGET_DIR"] = os.path.join(work, checker)
    # Otherwise a long build would look like a test that hangs.
    build = subprocess.run([*command, "--no-run"], cwd=work, env=environment, capture_output=True, text=True)
    if build.returncode != 0:
        return "stale: it does not compile", None
    # Ends a test that hangs with all its processes.
    limit = "90" if checker == "pool_real" else "300"
    command = ["timeout", limit, *command]
    run = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if run.returncode == 124:
        return None, "it hangs"
    if run.returncode == 0:
        return "survived", None
    failed = re.findall(r"^    (\w[\w:]*)$", run.stdout, re.MULTILINE)
    said = re.findall(r"panicked at .*\n(.*)|^sim: (?!seed|Some|None)(.*)", run.stdout + run.stderr, re.MULTILINE)
    return None, ", ".join(sorted(set(failed))[:2] or ["a crash"]) + ": " + "".join(said[0] if said else [])[:150]


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(1 if check() else 0)
    wanted = [m for m in MUTANTS if not sys.argv[1:] or any(word in m[0] for word in sys.argv[1:])]
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        for file in ["Cargo.toml", "Cargo.lock"]:
            shutil.copy(os.path.join(ROOT, file), work)
        path = os.path.join(work, "Cargo.toml")
        with open(path) as manifest:
            lines = manifest.read().splitlines()
        members = ", ".join(f'"{lib}"' for lib in LIBS)
        for number, line in enumerate(lines):
            if line.startswith(("members =", "default-members =")):
                lines[number] = f"{line.split('=')[0]}= [{members}]"
        with open(path, "w") as manifest:
            manifest.write("\n".join(lines))
        for mutant in wanted:
            problem, caught_by = survives(mutant, work)
            print(f"{problem or 'caught'}: {mutant[0]}" + (f" ({caught_by})" if caught_by else ""), flush=True)
            failures += problem is not None
    print(f"mutants: {len(wanted) - failures} of {len(wanted)} caught")
    sys.exit(1 if failures or not wanted else 0)


if __name__ == "__main__":
    main()
