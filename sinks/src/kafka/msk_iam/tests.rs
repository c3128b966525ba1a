//! The tokens of AWS's own signer for Python (package `aws-msk-iam-sasl-signer-python` 1.0.2, botocore's clock stopped at
//! 2026-01-02 03:04:05 UTC) for the same credentials.

use super::*;

const NOW: Duration = Duration::from_secs(1_767_323_045);

fn url(token: &Token) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(&token.value).unwrap()).unwrap()
}

fn parts(url: &str) -> (&str, Vec<&str>) {
    let (target, query) = url.split_once('?').unwrap();
    let mut query: Vec<_> = query.split('&').filter(|part| !part.starts_with("User-Agent=")).collect();
    query.sort_unstable();
    (target, query)
}

fn assert_signs_as_aws_does(credentials: &Credentials, region: &str, expected: &str) {
    let token = signed(credentials, region, UNIX_EPOCH + NOW).unwrap();
    let url = url(&token);
    assert_eq!(parts(&url), parts(expected));
    assert!(url.ends_with(concat!("&User-Agent=millrun%2F", env!("CARGO_PKG_VERSION"))), "{url}");
    assert!(!token.value.contains('='), "no padding: RFC 7628 would not take it for a token");
}

#[test]
fn a_token_is_the_one_of_awss_signer() {
    let credentials =
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
    assert_signs_as_aws_does(
        &credentials,
        "eu-west-1",
        "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
         &X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=7cc178453342e479def8e0e69cbff443ca929b5b0426af0f4b64554172c7195d\
         &User-Agent=aws-msk-iam-sasl-signer-python%2F1.0.2",
    );
}

#[test]
fn so_is_that_of_temporary_credentials() {
    let session = Some("FwoGZXIvYXdzEBYaDH+/token==&x".to_owned());
    let credentials = Credentials::new("ASIAEXAMPLE", "c2VjcmV0/+=", session, None, "test");
    assert_signs_as_aws_does(
        &credentials,
        "us-gov-east-1",
        "https://kafka.us-gov-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=ASIAEXAMPLE%2F20260102%2Fus-gov-east-1%2Fkafka-cluster%2Faws4_request\
         &X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
         &X-Amz-Security-Token=FwoGZXIvYXdzEBYaDH%2B%2Ftoken%3D%3D%26x\
         &X-Amz-Signature=e74705f32d3070e8499f67a702a515d4ed333d96893d3716c27ac369ef985033\
         &User-Agent=aws-msk-iam-sasl-signer-python%2F1.0.2",
    );
}

#[test]
fn it_ends_after_900_s_or_with_its_credentials() {
    let until = |expiry: Option<Duration>| {
        let credentials =
            Credentials::new("id", "secret", None, expiry.map(|expiry| UNIX_EPOCH + expiry), "test");
        let token = signed(&credentials, "eu-west-1", UNIX_EPOCH + NOW + Duration::from_millis(700)).unwrap();
        assert_eq!(token.made, NOW);
        token.expires.checked_sub(NOW).unwrap()
    };
    assert_eq!(until(None), EXPIRES);
    assert_eq!(until(Some(NOW + Duration::from_hours(1))), EXPIRES);
    assert_eq!(until(Some(NOW + Duration::from_secs(20))), Duration::from_secs(20));
}
