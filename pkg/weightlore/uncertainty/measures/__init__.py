"""How uncertain a set of class probabilities is: entropies, divergences and votes.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.measures.concentrations import Concentrations as Concentrations
from weightlore.uncertainty.measures.concentrations import HasAlpha as HasAlpha
from weightlore.uncertainty.measures.concentrations import alpha_of as alpha_of
from weightlore.uncertainty.measures.entropies import expected_entropy as expected_entropy
from weightlore.uncertainty.measures.entropies import expected_kl as expected_kl
from weightlore.uncertainty.measures.entropies import expected_pairwise_kl as expected_pairwise_kl
from weightlore.uncertainty.measures.entropies import margin as margin
from weightlore.uncertainty.measures.entropies import max_probability as max_probability
from weightlore.uncertainty.measures.entropies import mutual_information as mutual_information
from weightlore.uncertainty.measures.entropies import predictive_entropy as predictive_entropy
from weightlore.uncertainty.measures.members import HasProbs as HasProbs
from weightlore.uncertainty.measures.members import Members as Members
from weightlore.uncertainty.measures.members import mean_of as mean_of
from weightlore.uncertainty.measures.members import members_of as members_of
from weightlore.uncertainty.measures.scores import nll_categorical as nll_categorical
from weightlore.uncertainty.measures.scores import nll_from_logits as nll_from_logits
from weightlore.uncertainty.measures.votes import class_variance as class_variance
from weightlore.uncertainty.measures.votes import count_votes as count_votes
from weightlore.uncertainty.measures.votes import disagreement as disagreement
from weightlore.uncertainty.measures.votes import predictive_variance as predictive_variance
from weightlore.uncertainty.measures.votes import variation_ratio as variation_ratio
