alter table {{ table }} alter column {{ column }} set generated {{ words }};
