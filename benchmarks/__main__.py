"""Run the workloads: ``python -m benchmarks [NAME ...] [--rounds N]``."""

import argparse
import subprocess
import sys

from benchmarks import (
    binary_packed,
    binary_step,
    bitslice_step,
    calibration_errors,
    closed_form,
    converter_sweep,
    crossbar,
    ensemble_together,
    family_costs,
    hmc_chains,
    integrated_gradients,
    laplace,
    race,
    rankings,
    resistant_step,
    sensitivity_study,
    spiking_inference,
    spiking_training,
    tables,
    temperature,
    transfer_recurrent,
    transfer_step,
    trials_cnn,
    trials_layer,
    trials_mlp,
    variational_step,
    wires,
)

WORKLOADS = {
    "trials_mlp": trials_mlp.races,
    "trials_cnn": trials_cnn.races,
    "trials_layer": trials_layer.races,
    "closed_form": closed_form.races,
    "resistant_step": resistant_step.races,
    "bitslice_step": bitslice_step.races,
    "wires": wires.races,
    "crossbar": crossbar.races,
    "converter_sweep": converter_sweep.races,
    "binary_step": binary_step.races,
    "binary_packed": binary_packed.races,
    "spiking_inference": spiking_inference.races,
    "spiking_training": spiking_training.races,
    "transfer_step": transfer_step.races,
    "transfer_recurrent": transfer_recurrent.races,
    "integrated_gradients": integrated_gradients.races,
    "ensemble_together": ensemble_together.races,
    "sensitivity_study": sensitivity_study.races,
    "rankings": rankings.races,
    "calibration_errors": calibration_errors.races,
    "temperature": temperature.races,
    "variational_step": variational_step.races,
    "hmc_chains": hmc_chains.races,
    "family_costs": family_costs.races,
    "laplace": laplace.races,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=race.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(WORKLOADS)}; all without")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per race, at least 5 (default 9)")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(WORKLOADS)
    if unknown or asked.rounds < 5:
        parser.error(
            f"unknown workload {', '.join(sorted(unknown))}" if unknown else "a median needs 5 rounds at least"
        )
    if len(asked.names) == 1:
        met = race.run(asked.names[0], WORKLOADS[asked.names[0]](), asked.rounds)
        tables.update()
        if asked.names == ["family_costs"]:
            family_costs.keep()
        print("  every target is met" if met else "  a target is missed", flush=True)
        return 0
    for name in asked.names or WORKLOADS:  # a process each: how memory is handed out depends on what ran before
        subprocess.run([sys.executable, "-m", "benchmarks", name, "--rounds", str(asked.rounds)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
