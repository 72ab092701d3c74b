# Sourced: the cluster's keys, certificates and kubeconfigs, by openssl alone.
# shellcheck shell=bash

ossl() {
	OPENSSL_CONF=$NODE_TREE/etc/ssl/openssl.cnf \
	    tree_run "$NODE_TREE" openssl "$@" 2>>"$K8S/log/pki.log"
}

pki_key() {
	ossl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

pki_ca() {
	pki_key "$1" && ossl req -x509 -new -key "$1.key" -subj "/CN=$1" \
	    -days 3650 -out "$1.crt" \
	    -addext "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
}

# pki_cert NAME SUBJECT USAGE [ALTNAMES [CA]]
pki_cert() {
	local ca=${5:-ca}
	pki_key "$1" || return 1
	ossl req -new -key "$1.key" -subj "$2" -out "$1.csr" || return 1
	{
		echo "extendedKeyUsage=$3"
		echo "keyUsage=digitalSignature,keyEncipherment"
		[ -z "${4:-}" ] || echo "subjectAltName=$4"
	} >"$1.ext"
	ossl x509 -req -in "$1.csr" -CA "$ca.crt" -CAkey "$ca.key" \
	    -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" ||
	    return 1
	rm -f "$1.csr" "$1.ext"
}

pki_kubeconfig() {
	cat >"$1.kubeconfig" <<-E
	apiVersion: v1
	kind: Config
	clusters:
	- name: lab
	  cluster:
	    server: $API
	    certificate-authority-data: $(base64 -w0 ca.crt)
	users:
	- name: $1
	  user:
	    client-certificate-data: $(base64 -w0 "$1.crt")
	    client-key-data: $(base64 -w0 "$1.key")
	contexts:
	- name: lab
	  context: {cluster: lab, user: $1}
	current-context: lab
	E
}

pki_make() {
	local n svc=kubernetes.default.svc
	mkdir -p "$PKI" && chmod 700 "$PKI" && cd "$PKI" || return 1
	pki_ca ca && pki_ca front-proxy-ca || return 1
	ossl genrsa -out sa.key 2048 && ossl rsa -in sa.key -pubout -out sa.pub ||
	    return 1
	pki_cert apiserver /CN=kube-apiserver serverAuth \
	    "DNS:kubernetes,DNS:kubernetes.default,DNS:$svc,DNS:$svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$API_SERVICE_IP,IP:$CONTROL_IP" || return 1
	pki_cert kubelet-client /O=system:masters/CN=kubelet-client clientAuth || return 1
	pki_cert front-proxy-client /CN=front-proxy-client clientAuth '' front-proxy-ca || return 1
	pki_cert admin /O=system:masters/CN=admin clientAuth || return 1
	pki_cert kube-controller-manager /CN=system:kube-controller-manager clientAuth || return 1
	pki_cert kube-scheduler /CN=system:kube-scheduler clientAuth || return 1
	pki_cert kube-proxy /CN=system:kube-proxy clientAuth || return 1
	for n in admin kube-controller-manager kube-scheduler kube-proxy; do
		pki_kubeconfig "$n"
	done
	for n in $(nodes); do
		pki_cert "$n" "/O=system:nodes/CN=system:node:$n" \
		    serverAuth,clientAuth "DNS:$n,IP:$(node_ip "$n")" || return 1
		pki_kubeconfig "$n"
	done
}
