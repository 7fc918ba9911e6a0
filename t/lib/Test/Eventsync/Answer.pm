# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Answer;

# Checks the bytes of an answer, whatever was asked: nothing of a request may
# be in a header as it came, the status and the fields are those of
# docs/openapi.json, and the body is what its type says.

use warnings;
use strict;

use JSON::PP;

my $json = JSON::PP->new->utf8->allow_nonref;
my $document = do {
    open my $fh, '<:raw', 'docs/openapi.json' or die "docs/openapi.json: $!\n";
    local $/;
    $json->decode(<$fh>);
};

# Statuses that mean that the server is in trouble, and nothing here brings it
# there.
my %TROUBLE = map { $_ => 1 } 500, 503, 507;

# nginx itself refuses what is no request, and knows no other pages than its
# own outside our locations.
my %OF_NGINX = map { $_ => 1 } 400, 404, 405, 408, 413, 414, 417, 501, 505;

my $URL = qr{[A-Za-z0-9._~:/?#\[\]\@!\$&'()*+,;=%-]*};
my $TAG = qr{"[\x21\x23-\x7e]*"};
my $TOKEN = qr{[A-Za-z0-9!#\$%&'*+.^_`|~-]+};

# Fields that may have something of the request in them.
my %FORM = (
    'location' => qr{$URL},
    'link' => qr{<$URL>; rel="[a-z-]+"(?:, <$URL>; rel="[a-z-]+")*},
    'etag' => qr{$TAG},
    'allow' => qr{[A-Z]+(?:, [A-Z]+)*},
    'vary' => qr{$TOKEN(?:, $TOKEN)*},
    'content-length' => qr{\d+},
    'retry-after' => qr{\d+},
    'eventsync-next' => qr{[a-z0-9]+-\d+},
    'surrogate-key' => qr{[\x21-\x7e]+(?: [\x21-\x7e]+)*},
    'access-control-allow-origin' => qr{\*|https://a\.example},
    'access-control-allow-methods' => qr{[A-Z]+(?:, [A-Z]+)*},
    'access-control-allow-headers' => qr{$TOKEN(?:, ?$TOKEN)*},
    'www-authenticate' =>
        qr{(?:Bearer|Basic) realm="eventsync"(?:, [a-z_]+="[a-z_ ]+")*},
);

my (%FIELDS, @OPERATIONS);
collect($document);
$FIELDS{ lc $_ } = 1 for qw(Date Server Connection Content-Type Content-Length
    Transfer-Encoding Access-Control-Allow-Origin
    Access-Control-Allow-Credentials Access-Control-Allow-Methods
    Access-Control-Allow-Headers Access-Control-Expose-Headers
    Access-Control-Max-Age);

sub collect {
    my ($node) = @_;

    if (ref $node eq 'ARRAY') {
        collect($_) for @$node;
    } elsif (ref $node eq 'HASH') {
        $FIELDS{ lc $_ } = 1 for ref $node->{headers} eq 'HASH'
            ? keys %{ $node->{headers} } : ();
        collect($_) for values %$node;
    }
}

for my $path (sort keys %{ $document->{paths} }) {
    my $pattern = join '[A-Za-z0-9._-]+', map { quotemeta }
        split /\{[^}]*\}/, $path, -1;

    push @OPERATIONS, [ qr{^$pattern$}, { map { uc $_ =>
        $document->{paths}{$path}{$_}{responses} } grep { $_ ne 'parameters' }
        keys %{ $document->{paths}{$path} } } ];
}

my %STATUSES = map { $_ => 1 } 404, 405,
    map { map { keys %$_ } values %{ $_->[1] } } @OPERATIONS;

# ---- reading ----

# Splits the bytes of an answer; undef: there must be more.  `ended`: the server
# has closed the connection.  The result has `rest`, the bytes after the answer.
sub read_answer {
    my ($bytes, $method, $ended) = @_;

    while ($bytes =~ /\AHTTP\/1\.1 1\d\d [^\n]*\n(?:[^\r\n]+\r\n)*\r\n/) {
        substr $bytes, 0, $+[0], '';
    }

    my $end = index $bytes, "\r\n\r\n";
    return $ended ? { head => $bytes, body => '', rest => '' } : undef
        if $end < 0;

    my $answer = { head => substr($bytes, 0, $end), rest => '' };
    my $rest = substr $bytes, $end + 4;
    my ($status) = $answer->{head} =~ m{\AHTTP/1\.1 (\d\d\d)};
    my ($length) = $answer->{head} =~ /^content-length: (\d+)\r?$/mi;

    $answer->{body} = '';
    if ($method eq 'HEAD' || ($status // 0) =~ /^(?:204|304)$/) {
        $answer->{rest} = $rest;
        return $answer;
    }

    if ($answer->{head} =~ /^transfer-encoding: chunked\r?$/mi) {
        while ($rest =~ s/\A([0-9a-f]+)\r\n//i) {
            my $n = hex $1;
            last if length $rest < $n + 2;
            $answer->{body} .= substr $rest, 0, $n, '';
            return { %$answer, fault => 'a chunk that does not end' }
                unless $rest =~ s/\A\r\n//;
            return { %$answer, rest => $rest } if $n == 0;
        }
        return $answer->{head} =~ /^content-type: text\/event-stream/mi
            ? { %$answer, stream => 1 }
            : $ended ? { %$answer, cut => 1 } : undef;
    }

    if (defined $length) {
        return $ended ? { %$answer, body => $rest, cut => 1 } : undef
            if length $rest < $length;
        $answer->{body} = substr $rest, 0, $length, '';
        $answer->{rest} = $rest;
        return $answer;
    }

    return $ended ? { %$answer, body => $rest } : undef;
}

# ---- faults ----

# What is wrong with an answer to a request; undef: nothing.
sub fault {
    my ($answer, $request) = @_;
    my ($line, @fields) = split /\r\n/, $answer->{head}, -1;

    return $answer->{fault} if $answer->{fault};
    return 'the status line is ' . quoted($line // '') unless ($line // '')
        =~ m{\AHTTP/1\.1 (\d\d\d)(?: [ -~]*)?\z};
    $answer->{status} = $1;
    $answer->{fields} = {};

    for my $field (@fields) {
        my ($name, $value) = $field =~ /\A([A-Za-z0-9-]+): ([\x20-\x7e]*)\z/
            or return 'a line of the header is ' . quoted($field);

        $name = lc $name;
        return "the field $name is not documented" unless $FIELDS{$name};
        return "the field $name is " . quoted($value)
            if $FORM{$name} && $value !~ /\A$FORM{$name}\z/;
        return "the field $name is there twice"
            if exists $answer->{fields}{$name} && $name ne 'vary';
        $answer->{fields}{$name} = $value;
    }

    return $answer->{cut} ? undef
        : fault_of_status($answer, $request) // fault_of_body($answer);
}

sub fault_of_status {
    my ($answer, $request) = @_;
    my $status = $answer->{status};
    my $type = $answer->{fields}{'content-type'} // '';

    if ($type eq 'text/html') {
        return "nginx answers $status" unless $OF_NGINX{$status};
        return 'a page of nginx with ' . quoted($answer->{body})
            unless $answer->{body} =~ m{\A(?:<html>\r\n
                <head><title>[\w\ -]+</title></head>\r\n<body>\r\n
                <center><h1>[\w\ -]+</h1></center>\r\n
                (?:<center>[\w\ .,-]+</center>\r\n)?
                <hr><center>nginx/[\d.]+</center>\r\n
                </body>\r\n</html>\r\n)?(?:<!--[\w\ ,\r\n-]+-->\r\n)*\z}x;
        return;
    }

    return "the status is $status" if $TROUBLE{$status};
    return "the status $status is not documented" unless $STATUSES{$status};
    return "a status $status without a problem" if $status >= 400
        && $type ne 'application/problem+json' && $answer->{body} !~ /\A\{"error":/;

    my ($method, $path) = $request =~ m{\A([A-Z]+) /v1(/[A-Za-z0-9._/-]*)[ ?]};
    return if !defined $path || $path =~ m{//|\.\.?(?:/|$)};
    $method = 'GET' if $method eq 'HEAD';

    for (@OPERATIONS) {
        my ($pattern, $methods) = @$_;
        next unless $path =~ $pattern;
        return $method eq 'OPTIONS' || $status == 405 || $status == 404
            || $status == 400 || $status == 413 || $methods->{$method}{$status} ? undef
            : "the status $status of $method $path is not documented"
            if $methods->{$method};
    }
    return;
}

sub fault_of_body {
    my ($answer) = @_;
    my $body = $answer->{body};
    my $type = $answer->{fields}{'content-type'} // '';

    return if exists $answer->{fields}{'content-encoding'} || $body eq ''
        || $answer->{fields}{'content-range'};

    return if $type eq 'text/html';
    return fault_of_stream($body) if $type =~ m{^text/event-stream};
    return 'a control character in the body ' . quoted($1)
        if $body =~ /(.{0,60}[\x00-\x09\x0b-\x1f].{0,60})/
        && $type ne 'application/schema+json';

    if ($type eq 'application/problem+json') {
        my $problem = eval { $json->decode($body) };
        return 'a problem that is no JSON' unless ref $problem eq 'HASH';
        return 'a problem without a type, title or detail'
            if grep { !defined $problem->{$_} || ref $problem->{$_}
                || $problem->{$_} eq '' } qw(type title detail);
        return 'the detail ' . quoted($problem->{detail})
            if $problem->{detail} !~ /\A[\x20-\x7e]+\z/;
        return "a problem of status $problem->{status}"
            unless $problem->{status} == $answer->{status};
        return "the pointer is $problem->{pointer}"
            if ($problem->{pointer} // '') !~ m{^(?:/|$)};
        return 'a problem that has a member twice' if repeats($body, $problem);
        return 'a problem that may be stored'
            if ($answer->{fields}{'cache-control'} // '') ne 'no-store';
        $answer->{problem} = $problem;

    } elsif ($type =~ /ndjson/) {
        for my $line (split /\n/, $body) {
            return 'a line that is no JSON' unless eval { $json->decode($line); 1 };
        }

    } elsif ($type =~ /json$/) {
        return 'a body that is no JSON' unless eval { $json->decode($body); 1 };
    }
    return;
}

# True if an object of the text has a member twice, which the decoded value does
# not tell.
sub repeats {
    my ($text, $value) = @_;
    my $bare = $text =~ s/"(?:\\.|[^"\\])*+"//gr;
    return ($bare =~ tr/://) != members($value);
}

sub members {
    my ($value) = @_;
    my @below = ref $value eq 'HASH' ? values %$value
        : ref $value eq 'ARRAY' ? @$value : ();
    my $n = ref $value eq 'HASH' ? @below : 0;
    $n += members($_) for @below;
    return $n;
}

sub fault_of_stream {
    my ($body) = @_;

    # the last line may be cut
    $body =~ s/[^\n]*\z//;
    my @bad = grep { !/\A(?:(?:event|id|data|retry): ?[^\x00-\x08\x0b-\x1f\x7f]*|:.*|)\z/ }
        split /\n/, $body;
    return @bad ? 'a line of the stream is ' . quoted($bad[0]) : undef;
}

# Answers of one kind have the same text.
sub kind {
    my ($answer) = @_;
    my $detail = $answer->{problem} ? $answer->{problem}{detail} : '';

    $detail =~ s/"[^"]*"|\d+/N/g;
    return join ' ', $answer->{status} // 0, $detail,
        sort keys %{ $answer->{fields} // {} };
}

# A text on one line, for messages.
sub quoted {
    my ($text) = @_;
    $text = substr $text, 0, 200;
    $text =~ s/([^\x20-\x7e]|\\)/sprintf '\\x%02x', ord $1/ge;
    return "\"$text\"";
}

1;
