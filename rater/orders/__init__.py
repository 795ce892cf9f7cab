"""Orders: a plan or an add-on for a SIM, paid from its wallet or by somebody who pays the wallet first."""
