alter sequence {{ name }}{{ options }};
