alter type {{ from }} rename to {{ to }};
