alter table {{ table }} alter constraint {{ name }}{{ deferrable }};
