"""What every training shares: of personalisation, of attackers' surrogates, from nothing."""
