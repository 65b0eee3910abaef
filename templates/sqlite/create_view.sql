create view {{ view }} as
{{ query }};
