//! The codes that Sobot answers with (`ret_code`), each with its meaning in Sobot's words and in English.

use std::fmt::{self, Display, Formatter};

/// The one code that is none of an error.
pub const SUCCESS: &str = "000000";

macro_rules! codes {
    ($($variant:ident $code:literal $chinese:literal $english:literal;)*) => {
        /// Why Sobot refused (错误编码). The document's codes, and whatever else it may answer.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "` ", $chinese, ": ", $english)] $variant,)*
            /// A code that the document does not list.
            Other(Box<str>),
        }

        impl Code {
            /// All that the document lists.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code of this text.
            pub fn of(code: &str) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }

            /// The six digits.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// What it means, as Sobot's document says it.
            pub fn chinese(&self) -> &'static str {
                match self {
                    $(Self::$variant => $chinese,)*
                    Self::Other(_) => "文档中未列出的错误编码",
                }
            }

            /// What it means, in English.
            pub fn english(&self) -> &'static str {
                match self {
                    $(Self::$variant => $english,)*
                    Self::Other(_) => "a code that Sobot's document does not list",
                }
            }
        }
    };
}

codes! {
    TokenMissing "900001" "token 为空" "there is no token";
    TokenInvalid "900002" "token 已失效,请重新获取" "the token is no longer valid; it has to be fetched again";
    SystemError "999999" "系统未知异常" "an unknown error in Sobot's system";
    PageMissing "210001" "Facebook主页ID不能为空" "the Facebook page's id is missing";
    PageUnknown "210002" "Facebook主页ID不存在或者输入错误" "there is no Facebook page of this id";
    TopicMissing "210003" "订阅主题不能为空" "the subscription topic is missing";
    TopicTooLong "210004" "订阅主题长度不能超过65个字符" "the subscription topic has more than 65 characters";
    DescriptionMissing "210005" "订阅主题描述不能为空" "the topic's description is missing";
    DescriptionTooLong "210006" "订阅主题描述不能超过65个字符" "the topic's description has more than 65 characters";
    ButtonTypeMissing "210007" "按钮类型不能为空" "the button's type is missing";
    TopicExists "210008" "当前主页下订阅主题已存在" "the page has a topic of this title already";
    UserMissing "210009" "用户Facebook ID不能为空" "the user's Facebook id is missing";
    TopicUnknown "210010" "系统上不存在该主页的订阅主题" "the page has no topic of this title";
    TopicFixed "210011" "修改订阅主题不支持修改主页ID和订阅主题" "a topic's page and title cannot be changed";
    ImageRatioMissing "210012" "图片比例不能为空" "the image's ratio is missing";
    ConfigUnknown "210013" "传入的configID不正确或已删除" "there is no topic of this configid, or it has been deleted";
}

impl Display for Code {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}; {})", self.as_str(), self.english(), self.chinese())
    }
}
