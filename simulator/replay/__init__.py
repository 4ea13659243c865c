"""Traffic of a log, to be sent again: recorded once in the run's folder, then read by number."""

from trueup.simulator.replay.names import Names
from trueup.simulator.replay.recording import RECORDING_FILES, ReplayRecording, record_log
from trueup.simulator.replay.traffic import ReplayTraffic, due_us

__all__ = ["RECORDING_FILES", "Names", "ReplayRecording", "ReplayTraffic", "due_us", "record_log"]
