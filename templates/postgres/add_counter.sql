create sequence if not exists {{ counter }} as {{ type }};
grant usage on sequence {{ counter }} to public;  -- as with an identity column: whoever may insert a row gets its number
alter table {{ table }} alter column {{ column }} set default nextval({{ counter_literal }});
