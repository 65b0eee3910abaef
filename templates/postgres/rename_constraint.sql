alter table {{ table }} rename constraint {{ from }} to {{ to }};
