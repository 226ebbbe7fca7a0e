//! Charts of candles as pictures.
