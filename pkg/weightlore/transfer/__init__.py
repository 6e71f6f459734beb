"""Theta brought to another task: units that blend the layers of a source and a target network, and what else is done.

The names of the sub-package, one line each. The equations of the unit are our formulation; see ``unit``.
"""

from weightlore.transfer.adapters import Adapter as Adapter
from weightlore.transfer.adapters import leading as leading
from weightlore.transfer.adapters import orthogonal as orthogonal
from weightlore.transfer.adapters import principal as principal
from weightlore.transfer.adapters import resized as resized
from weightlore.transfer.anchors import l2_sp as l2_sp
from weightlore.transfer.caching import CachedPTUNet as CachedPTUNet
from weightlore.transfer.caching import cached as cached
from weightlore.transfer.discrete import HardConcrete as HardConcrete
from weightlore.transfer.fitting import Make as Make
from weightlore.transfer.fitting import Method as Method
from weightlore.transfer.fitting import Plan as Plan
from weightlore.transfer.fitting import Setting as Setting
from weightlore.transfer.fitting import TransferRecipe as TransferRecipe
from weightlore.transfer.fitting import Transferred as Transferred
from weightlore.transfer.fitting import fit_transfer as fit_transfer
from weightlore.transfer.gates import GateCost as GateCost
from weightlore.transfer.gates import GateKind as GateKind
from weightlore.transfer.gates import parameter_count as parameter_count
from weightlore.transfer.gates import parameter_table as parameter_table
from weightlore.transfer.inputs import InputFormat as InputFormat
from weightlore.transfer.inputs import adapt_norms as adapt_norms
from weightlore.transfer.inputs import to_channels as to_channels
from weightlore.transfer.layers import trainable as trainable
from weightlore.transfer.mixing import concat as concat
from weightlore.transfer.mixing import cross_stitch as cross_stitch
from weightlore.transfer.mixing import progressive as progressive
from weightlore.transfer.mixing import side_tuning as side_tuning
from weightlore.transfer.network import PTUNet as PTUNet
from weightlore.transfer.sharing import chosen as chosen
from weightlore.transfer.sharing import fine_tune as fine_tune
from weightlore.transfer.sharing import reinitialized as reinitialized
from weightlore.transfer.sharing import scratch as scratch
from weightlore.transfer.sharing import share_first as share_first
from weightlore.transfer.sharing import sharing as sharing
from weightlore.transfer.states import InStates as InStates
from weightlore.transfer.states import State as State
from weightlore.transfer.states import in_states as in_states
from weightlore.transfer.steps import gate_adam as gate_adam
from weightlore.transfer.steps import gate_names as gate_names
from weightlore.transfer.steps import listening as listening
from weightlore.transfer.steps import transfer_step as transfer_step
from weightlore.transfer.tables import GateRecord as GateRecord
from weightlore.transfer.tables import GateStatistics as GateStatistics
from weightlore.transfer.tables import GateTable as GateTable
from weightlore.transfer.tables import gate_statistics as gate_statistics
from weightlore.transfer.tables import gate_table as gate_table
from weightlore.transfer.unit import PTU as PTU
from weightlore.transfer.vocabularies import translated as translated
from weightlore.transfer.vocabularies import translation as translation
