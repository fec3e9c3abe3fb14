"""How answers are made: a question is understood, evidence chosen, an answer composed and cited."""
