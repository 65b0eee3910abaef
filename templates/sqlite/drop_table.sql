drop table {{ table }};
