"""Samplers that follow the posterior over the parameters, and diagnostics of their chains.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.mcmc.diagnostics import effective_sample_size as effective_sample_size
from weightlore.uncertainty.mcmc.diagnostics import running_kl as running_kl
from weightlore.uncertainty.mcmc.diagnostics import split_rhat as split_rhat
from weightlore.uncertainty.mcmc.friction import SGHMC as SGHMC
from weightlore.uncertainty.mcmc.friction import SGNHT as SGNHT
from weightlore.uncertainty.mcmc.hamiltonian import hmc as hmc
from weightlore.uncertainty.mcmc.joint import categorical_likelihood as categorical_likelihood
from weightlore.uncertainty.mcmc.joint import gaussian_likelihood as gaussian_likelihood
from weightlore.uncertainty.mcmc.joint import log_joint as log_joint
from weightlore.uncertainty.mcmc.langevin import SGLD as SGLD
from weightlore.uncertainty.mcmc.leapfrogs import Phase as Phase
from weightlore.uncertainty.mcmc.leapfrogs import energy as energy
from weightlore.uncertainty.mcmc.leapfrogs import leapfrog as leapfrog
from weightlore.uncertainty.mcmc.metropolis import random_walk_metropolis as random_walk_metropolis
from weightlore.uncertainty.mcmc.particles import stein_direction as stein_direction
from weightlore.uncertainty.mcmc.particles import svgd as svgd
from weightlore.uncertainty.mcmc.sampling import sample_network as sample_network
from weightlore.uncertainty.mcmc.schedules import ConstantSchedule as ConstantSchedule
from weightlore.uncertainty.mcmc.schedules import CyclicalSchedule as CyclicalSchedule
from weightlore.uncertainty.mcmc.schedules import DecayingSchedule as DecayingSchedule
from weightlore.uncertainty.mcmc.schedules import Plan as Plan
from weightlore.uncertainty.mcmc.targets import Chains as Chains
from weightlore.uncertainty.mcmc.targets import Target as Target
