#!/bin/sh
# Starts the named program without telling it that it should be a worker.
unset PROCESS_POOL_WORKER
exec "$TWO_PROGRAMS_FORGETFUL"
