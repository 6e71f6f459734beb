"""Data: the digits that come with the package, toy sets, image shifts, and sets that are fetched when asked for."""

from weightlore.data.digits import digits as digits
from weightlore.data.digits import digits_indices as digits_indices
from weightlore.data.shifts import shift as shift
from weightlore.data.shifts import shift_kinds as shift_kinds
from weightlore.data.shifts import shift_levels as shift_levels
from weightlore.data.split import Split as Split
from weightlore.data.toys import heteroscedastic_sine as heteroscedastic_sine
from weightlore.data.toys import sine_mean as sine_mean
from weightlore.data.toys import sine_noise as sine_noise
from weightlore.data.toys import stripe_angles as stripe_angles
from weightlore.data.toys import stripes as stripes
from weightlore.data.toys import two_moons as two_moons
