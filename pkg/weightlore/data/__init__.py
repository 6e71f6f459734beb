"""Data: the digits that come with the package, toy sets, image shifts, and sets that are fetched when asked for."""

from weightlore.data.digits import digits as digits
from weightlore.data.digits import digits_indices as digits_indices
from weightlore.data.fetched import data_folder as data_folder
from weightlore.data.fetched import datasets as datasets
from weightlore.data.fetched import fetch as fetch
from weightlore.data.few import few_labels as few_labels
from weightlore.data.folders import ImageFolder as ImageFolder
from weightlore.data.folders import image_folder as image_folder
from weightlore.data.folds import fold as fold
from weightlore.data.record import Dataset as Dataset
from weightlore.data.record import Original as Original
from weightlore.data.shifts import shift as shift
from weightlore.data.shifts import shift_kinds as shift_kinds
from weightlore.data.shifts import shift_levels as shift_levels
from weightlore.data.split import Split as Split
from weightlore.data.text import Text as Text
from weightlore.data.text import encode as encode
from weightlore.data.text import tokenize as tokenize
from weightlore.data.text import vocabulary as vocabulary
from weightlore.data.toys import heteroscedastic_sine as heteroscedastic_sine
from weightlore.data.toys import sine_mean as sine_mean
from weightlore.data.toys import sine_noise as sine_noise
from weightlore.data.toys import stripe_angles as stripe_angles
from weightlore.data.toys import stripes as stripes
from weightlore.data.toys import two_moons as two_moons
