alter table {{ table }} alter column {{ column }} {% if default %}set default {{ default }}{% else %}drop default{% endif %};
