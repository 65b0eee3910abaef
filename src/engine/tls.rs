//! Encrypted connections: whom a session trusts, and what can be done about a server that it does not trust.

use std::error::Error;

#[cfg(feature = "postgres")]
pub(super) use self::client::{Roots, Verify, client};

/// What the driver of a database calls the settings that a hint speaks of.
pub(super) struct Names {
    /// The certificate of a CA.
    pub(super) ca: &'static str,
    /// Encryption without a look at the certificate.
    pub(super) unverified: &'static str,
}

/// The fault of a handshake, if it is what an error comes from. An error of input and output may carry it.
pub(super) fn fault<'e>(mut error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    loop {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(fault) = error.downcast_ref().or_else(|| inner?.downcast_ref()) {
            return Some(fault);
        }
        error = error.source()?;
    }
}

/// What to do about a handshake that failed.
pub(super) fn hint(fault: &rustls::Error, names: &Names) -> Option<String> {
    use rustls::CertificateError as Fault;
    let Names { ca, unverified } = names;
    Some(match fault {
        rustls::Error::InvalidCertificate(Fault::UnknownIssuer) => {
            format!("no CA that is trusted here has signed the server's certificate: name the file with its CA's certificate, `{ca}=FILE`")
        }
        rustls::Error::InvalidCertificate(Fault::NotValidForName | Fault::NotValidForNameContext { .. }) => {
            "the server's certificate is made out for other names: connect by one of those that it has as subjectAltName (a mere common \
             name does not count)"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(Fault::Expired | Fault::ExpiredContext { .. }) => {
            "the server's certificate has expired: give the server a new one".to_owned()
        }
        rustls::Error::InvalidCertificate(Fault::Other(_)) => format!(
            "the server's certificate can't be looked at; a certificate of a CA, for one, is none of a server: sign one for the server \
             with it, and name the CA's, `{ca}=FILE`. `{unverified}` encrypts without looking"
        ),
        _ => return None,
    })
}

#[cfg(feature = "postgres")]
mod client {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::client::verify_server_cert_signed_by_trust_anchor;
    use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use rustls::server::ParsedCertificate;
    use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

    /// How much of a server's certificate is looked at.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::engine) enum Verify {
        /// Nothing: who listens is kept out, who poses as the server is not.
        Nothing,
        /// Which CA has signed it.
        Signature,
        /// Which CA has signed it, and that it is made out for the host that was asked for.
        Name,
    }

    /// Who is trusted to sign.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(in crate::engine) enum Roots {
        /// The CAs that browsers trust, as Mozilla lists them.
        Public,
        /// The certificates in a file, and no others.
        File(PathBuf),
    }

    /// The certificate and the key by which a client shows who it is.
    type Identity = (PathBuf, PathBuf);

    /// A client's side. The message of an error names no file: it would be a part of a URL.
    pub(in crate::engine) fn client(verify: Verify, roots: &Roots, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let versions = |error: rustls::Error| error.to_string();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(versions)?;
        let builder = match verify {
            Verify::Name => builder.with_root_certificates(store(roots)?),
            Verify::Signature | Verify::Nothing => {
                let roots = if verify == Verify::Signature { Some(store(roots)?) } else { None };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Nameless { roots, provider }))
            }
        };
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("the client's key can't be read: {error}"))?;
                builder
                    .with_client_auth_cert(certificates(certificate, "the client's certificate")?, key)
                    .map_err(|error| format!("the client's certificate and key can't be used: {error}"))?
            }
        };
        // Servers from PostgreSQL 17 on look at it; others pass over it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Arc::new(config))
    }

    fn certificates(file: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = read.map_err(|error| format!("the file of {what} can't be read: {error}"))?;
        if found.is_empty() { Err(format!("the file of {what} has no certificate (PEM)")) } else { Ok(found) }
    }

    fn store(roots: &Roots) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        match roots {
            Roots::Public => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Roots::File(file) => {
                for certificate in certificates(file, "the CA's certificate")? {
                    store.add(certificate).map_err(|error| format!("a certificate of a CA can't be used: {error}"))?;
                }
            }
        }
        Ok(store)
    }

    /// Never looks for whom a certificate is made out.
    #[derive(Debug)]
    struct Nameless {
        /// Who may have signed it. None: any certificate will do, and a signature by it would prove nothing.
        roots: Option<RootCertStore>,
        provider: Arc<CryptoProvider>,
    }

    impl ServerCertVerifier for Nameless {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            if let Some(roots) = &self.roots {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                let algorithms = self.provider.signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
            }
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            if self.roots.is_none() {
                return Ok(HandshakeSignatureValid::assertion());
            }
            verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            if self.roots.is_none() {
                return Ok(HandshakeSignatureValid::assertion());
            }
            verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}
