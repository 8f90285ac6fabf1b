"""An acquired company's ERP: foreseen on a copy, loaded while live traffic goes on, taken out again."""
