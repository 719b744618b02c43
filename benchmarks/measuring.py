"""What the benchmarks measure alike: whole commands, with the memory of all their processes."""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from keras_bert.data.records import count_records

SECONDS_BETWEEN_SAMPLES = 0.1


def run_measured(command):
    """Runs a command to its end; exits with its output if it fails.

    Args:
        command: list of str.

    Returns:
        {"seconds": start-up included, "peak_mb": the most megabytes that its processes held together}.
    """
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        peak = peak_memory(process)
        seconds = time.perf_counter() - begin
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command)}\nfailed:\n{log.read().decode()[-3000:]}")
    return {"seconds": round(seconds, 2), "peak_mb": round(peak / 1e6)}


def measure_data_tool(command):
    """Runs a command that takes --output_file and writes TFRecords there.

    Returns:
        What `run_measured` does, and "instances" and "instances_per_second".
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "records.tfrecord")
        figures = run_measured([*command, f"--output_file={output}"])
        instances = count_records(output)
    return figures | {"instances": instances, "instances_per_second": round(instances / figures["seconds"])}


def peak_memory(process):
    """Waits for a process. Returns the most bytes that it and its children held together, by their resident sets."""
    peak, over = 0, threading.Event()

    def sample():
        nonlocal peak
        while not over.wait(SECONDS_BETWEEN_SAMPLES):
            total = 0
            try:
                parent = psutil.Process(process.pid)
                for each in [parent, *parent.children(recursive=True)]:
                    total += each.memory_info().rss
            except psutil.NoSuchProcess:
                pass
            peak = max(peak, total)

    watcher = threading.Thread(target=sample)
    watcher.start()
    process.wait()
    over.set()
    watcher.join()
    return peak
