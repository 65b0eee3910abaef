alter table {{ table }} alter column {{ column }} drop default;
