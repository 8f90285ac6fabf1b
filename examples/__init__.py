"""One runnable example for each way in which a customer's CID gets to where it is joined on."""
