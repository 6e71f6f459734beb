"""Networks that can be taken apart layer by layer, and the healthy ones that the book is written about."""

from weightlore.networks.feedforward import cnn as cnn
from weightlore.networks.feedforward import mlp as mlp
from weightlore.networks.layered import Chain as Chain
from weightlore.networks.layered import Layered as Layered
from weightlore.networks.recurrent import Recurrent as Recurrent
from weightlore.networks.recurrent import recurrent as recurrent
from weightlore.networks.recurrent import sequence as sequence
from weightlore.networks.residual import resnet20 as resnet20
from weightlore.networks.shipped import HealthyKind as HealthyKind
from weightlore.networks.shipped import healthy as healthy
from weightlore.networks.shipped import save_healthy as save_healthy
from weightlore.networks.shipped import train_healthy as train_healthy
from weightlore.networks.vgg import vgg11 as vgg11
from weightlore.networks.vgg import vgg15 as vgg15
