#!/bin/sh
# Starts the program that is named there as one that does not know that it is to be a worker.
unset PROCESS_POOL_WORKER
exec "$TWO_PROGRAMS_FORGETFUL"
