alter table {{ table }} alter column {{ column }} drop identity if exists;
