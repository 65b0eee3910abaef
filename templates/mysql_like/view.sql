create or replace sql security invoker view {{ view }} as
  {{ query }};
